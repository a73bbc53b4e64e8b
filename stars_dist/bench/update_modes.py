"""Updates per second of one learner in its three ways: eager, with static shapes, and as one graph; from one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from learner.batch import TensorBatch
from learner.update_program import BatchUpdate
from stars_dist.bench.stage_clock import wait_for
from stars_dist.build.device import DeviceUse
from stars_dist.build.learner import learner_on
from stars_dist.config.run_plan import RunPlan

WARM_UP_UPDATES = 6  # beyond those of a graph
UPDATES_PER_ROUND = 5
PROFILED_UPDATES = 10
PRODUCT_SIDE = {"cpu": 1024, "cuda": 8192}  # of the square matrices that measure the speed of products
_PRODUCT_REPEATS = 5
_TOTAL_UPDATES = 1_000_000_000  # of a schedule that stands still


class UpdateModes(NamedTuple):
    """The learner's speed on a ragged batch, and what bounds it. Per mode: eager, static, graph (None without one)."""

    updates_per_s: dict[str, float | None]
    launches_per_update: dict[str, int | None]  # operations that compute: kernels, or a graph
    device_busy_share: dict[str, float | None]  # of an update's wall time; None on a CPU, which is the device
    padded_rows: int  # that a static update multiplies, beside the batch's own
    gflop_per_update: float  # of the products, rows without padding
    product_tflop_per_s: float  # of a large square product
    bound_updates_per_s: float  # if an update were its products alone, at that speed

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return self._asdict()


def measure_modes(
    plan: RunPlan, batch: TensorBatch, device: torch.device, flop: float, seconds: float
) -> UpdateModes:
    """Measure for about `seconds`, the modes in turn; `flop` are those of an update's products."""
    uses = {"eager": DeviceUse(device, False, False, False), "static": DeviceUse(device, True, False, False)}
    if device.type == "cuda":
        uses["graph"] = DeviceUse(device, True, True, False)
    updates = {name: _update(plan, use, batch) for name, use in uses.items()}
    rates = _rates(updates, device, seconds)
    speed = product_speed(device)
    places = learner_on(plan, uses["static"]).mode.rows_per_task or 0
    modes = ("eager", "static", "graph")
    launches: dict[str, int | None] = {name: count_launches(updates[name]) for name in ("eager", "static")}
    launches["graph"] = _graph_launches(updates["graph"], device) if "graph" in updates else None
    return UpdateModes(
        {name: rates.get(name) for name in modes},
        launches,
        {name: _busy_share(updates[name], device) if name in updates else None for name in modes},
        places * plan.num_tasks,
        flop / 1e9,
        speed / 1e12,
        speed / flop,
    )


def _update(plan: RunPlan, use: DeviceUse, batch: TensorBatch) -> Callable[[], object]:
    update = BatchUpdate(learner_on(plan, use), _TOTAL_UPDATES, use.uses_graph)
    for _ in range(WARM_UP_UPDATES):
        update(batch)
    return lambda: update(batch)


def _rates(
    updates: dict[str, Callable[[], object]], device: torch.device, seconds: float
) -> dict[str, float]:
    """Return the medians over interleaved rounds."""
    rounds: dict[str, list[float]] = {name: [] for name in updates}
    end = time.monotonic() + seconds
    while not all(rounds.values()) or time.monotonic() < end:
        for name, update in updates.items():
            wait_for(device)
            start = time.perf_counter()
            for _ in range(UPDATES_PER_ROUND):
                update()
            wait_for(device)
            rounds[name].append(UPDATES_PER_ROUND / (time.perf_counter() - start))
    return {name: median(values) for name, values in rounds.items()}


class _Launches(TorchDispatchMode):
    """Counts operations that compute: views and allocations launch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returns = func._schema.returns
        alias = returns[0].alias_info if returns else None
        is_view = alias is not None and not alias.is_write
        self.count += not is_view and not func.overloadpacket.__name__.startswith(("empty", "new_empty"))
        return func(*args, **(kwargs or {}))


def count_launches(update: Callable[[], object]) -> int:
    """Count the operations of an update that a device would have to be handed."""
    with _Launches() as launches:
        update()
    return launches.count


def _graph_launches(update: Callable[[], object], device: torch.device) -> int:
    """Count what the host hands to a GPU: copies of the batch, the graph, what follows it."""
    events = _profile(update, device).key_averages()
    names = ("cudaLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync", "cuLaunchKernel")
    return round(sum(event.count for event in events if event.key.startswith(names)) / PROFILED_UPDATES)


def _busy_share(update: Callable[[], object], device: torch.device) -> float | None:
    """Return the time of kernels over the wall time of updates without a profiler."""
    if device.type != "cuda":
        return None
    wait_for(device)
    start = time.perf_counter()
    for _ in range(PROFILED_UPDATES):
        update()
    wait_for(device)
    wall_us = 1e6 * (time.perf_counter() - start)
    events = _profile(update, device).events() or []
    kernels = [event for event in events if event.device_type.name == "CUDA"]
    return sum(event.time_range.elapsed_us() for event in kernels) / wall_us


def _profile(update: Callable[[], object], device: torch.device) -> torch.profiler.profile:
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(PROFILED_UPDATES):
            update()
        wait_for(device)
    return profile


def product_speed(device: torch.device) -> float:
    """Return the FLOP per second of a large square product, the best of a few."""
    side = PRODUCT_SIDE[device.type]
    left, right = torch.randn(2, side, side, device=device)
    best = float("inf")
    for _ in range(1 + _PRODUCT_REPEATS):
        wait_for(device)
        start = time.perf_counter()
        torch.mm(left, right)
        wait_for(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def modes_report(modes: UpdateModes) -> list[str]:
    """Format the modes for a terminal."""
    lines = ["ragged batch      updates/s   launches   device busy"]
    for name in ("eager", "static", "graph"):
        cells = (modes.updates_per_s[name], modes.launches_per_update[name], modes.device_busy_share[name])
        rate, launches, busy = (f"{cell:10.3g}" if cell is not None else f"{'-':>10}" for cell in cells)
        lines.append(f"  {name:12} {rate} {launches} {busy}")
    lines.append(
        f"products: {modes.gflop_per_update:.2f} GFLOP per update, {modes.product_tflop_per_s:.3f} TFLOP/s measured, "
        f"so at most {modes.bound_updates_per_s:.0f} updates/s; static: {modes.padded_rows} rows"
    )
    return lines
