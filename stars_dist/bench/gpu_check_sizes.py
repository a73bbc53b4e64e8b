"""How much of everything `make gpu-check` does on a GPU, and in a rehearsal on a CPU."""

from __future__ import annotations

from typing import NamedTuple


class CheckSizes(NamedTuple):
    """The sizes of the steps."""

    tests_timeout_s: float
    learner_timeout_s: float  # of each of six
    learner_options: tuple[str, ...]
    system_options: tuple[str, ...]


_SMALL = ("sampling.batch_size_per_task=4", "network.actor_hidden=[32,32]", "network.critic_hidden=[32,32]")
_SMALL_OPTIONS = tuple(text for assignment in _SMALL for text in ("--set", assignment))

CHECK_SIZES = {
    "cuda": CheckSizes(120.0, 40.0, ("--seconds", "6"), ("--suite", "mt10", "--preset", "stars")),
    "cpu": CheckSizes(
        300.0,
        300.0,
        ("--seconds", "0", "--threads", "1", *_SMALL_OPTIONS),
        ("--suite", "mt10", "--actors", "2", "--set", "replay.warmup_steps_per_task=200", *_SMALL_OPTIONS),
    ),
}
