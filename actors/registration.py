"""Meta-World for everyone: `gym.make("stars-dist/push-v3")` and `gym.make_vec("stars-dist/MT10")`, stepped fast.

`import stars_dist` after Gymnasium calls `register`, and so does `gym.make("stars_dist:stars-dist/push-v3")`: Gymnasium
1.x loads no plugins by itself. Tasks are named without Meta-World, which the first environment loads.
"""

from __future__ import annotations

NAMESPACE = "stars-dist"
BENCHMARKS = ("MT10", "MT25", "MT50")
_NAMES = (
    "assembly basketball bin-picking box-close button-press button-press-topdown button-press-topdown-wall "
    "button-press-wall coffee-button coffee-pull coffee-push dial-turn disassemble door-close door-lock "
    "door-open door-unlock drawer-close drawer-open faucet-close faucet-open hammer hand-insert handle-press "
    "handle-press-side handle-pull handle-pull-side lever-pull peg-insert-side peg-unplug-side pick-out-of-hole "
    "pick-place pick-place-wall plate-slide plate-slide-back plate-slide-back-side plate-slide-side push "
    "push-back push-wall reach reach-wall shelf-place soccer stick-pull stick-push sweep sweep-into "
    "window-close window-open"
)
TASKS = tuple(f"{name}-v3" for name in _NAMES.split())
_MODULE = "actors.registered_environments"


def register() -> None:
    """Register every task and benchmark with Gymnasium; what is registered already stays."""
    from gymnasium.envs import registration

    for name in TASKS:
        if f"{NAMESPACE}/{name}" not in registration.registry:
            registration.register(
                f"{NAMESPACE}/{name}", entry_point=f"{_MODULE}:make_task", kwargs={"name": name}
            )
    for name in BENCHMARKS:
        if f"{NAMESPACE}/{name}" not in registration.registry:
            registration.register(
                f"{NAMESPACE}/{name}",
                vector_entry_point=f"{_MODULE}:make_benchmark",
                kwargs={"benchmark": name.lower()},
            )
