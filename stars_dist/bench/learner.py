"""The learner's benchmark: an update against a plain multi-head SAC's and against its own matrix products alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from learner.batch import BatchCopier, TensorBatch
from learner.network_config import NetworkConfig, SharedConfig, UniqueConfig
from learner.prefetch import PrefetchSource
from learner.sac import SacLearner
from stars_dist.bench.stage_clock import StageClock, wait_for
from stars_dist.bench.stored_batches import stored_batches
from stars_dist.bench.update_modes import UpdateModes, measure_modes, modes_report
from stars_dist.build.device import DeviceUse, choose_device
from stars_dist.build.learner import fresh_learner, learner_on
from stars_dist.config.run_plan import RunPlan

WARM_UP_UPDATES = 3
SAMPLED_UPDATES = 20
_aten: Any = torch.ops.aten
_WITH_ADDEND = (_aten.addmm, _aten.baddbmm, _aten.addmv)
_PRODUCTS = (_aten.mm, _aten.bmm, _aten.addmm, _aten.baddbmm, _aten.mv, _aten.addmv, _aten.dot)


class Timing(NamedTuple):
    """Medians over interleaved rounds; a ratio is the median of the rounds' ratios."""

    ms: float
    plain_ms: float
    matmul_ms: float  # every matrix product of an update: layers, forward and backward, and composition
    layers_matmul_ms: float  # those of the layers alone
    ratio_plain: float
    ratio_matmul: float


class LearnerBench(NamedTuple):
    """An update on both kinds of batch, and its parts."""

    even: Timing  # the same number of rows for every task
    ragged: Timing  # quotas as they are when half of the tasks are solved
    split_ms: dict[str, float]  # where an update's time goes
    modes: UpdateModes

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the even batches' figures stand at its top."""
        return {
            **self.even._asdict(),
            "split_ms": self.split_ms,
            "ragged": self.ragged._asdict(),
            **self.modes.to_json(),
        }


def measure(plan: RunPlan, seconds: float) -> LearnerBench:
    """Measure for about `seconds`: a third on each kind of batch, and a third in the three modes."""
    config = plan.config
    if config.learner.torch_threads is not None:
        torch.set_num_threads(config.learner.torch_threads)
    device = choose_device(config.device)
    timings = []
    for solved_share in (0.0, 0.5):
        with stored_batches(plan, solved_share) as sampler:
            (sampled,) = sampler.sample(1, 0, config.sampling.is_exponent_start, timeout_s=60.0)
        batch = BatchCopier(device)(sampled)
        timing, flop = _compare(plan, batch, device, seconds / 3)
        timings.append(timing)
        modes = measure_modes(plan, batch, device, flop, seconds / 3) if solved_share else None
    assert modes is not None, "the last batch is ragged"
    return LearnerBench(*timings, split_ms=_split(plan, device), modes=modes)


def _compare(plan: RunPlan, batch: TensorBatch, device: torch.device, seconds: float) -> tuple[Timing, float]:
    """Time an update, the plain one and the products; return also the FLOP of all products."""
    eager = DeviceUse(device, is_static=False, uses_graph=False, uses_mirror=False)
    learner = learner_on(plan, eager)
    plain = learner_on(plan.override(network=plain_network(plan.config.network)), eager)
    products = Products(learner, batch)
    programs: dict[str, Callable[[], object]] = {
        "ms": lambda: learner.update(batch),
        "plain_ms": lambda: plain.update(batch),
        "matmul_ms": products.multiply,
        "layers_matmul_ms": products.multiply_layers,
    }
    for program in [*programs.values()] * WARM_UP_UPDATES:
        program()
    rounds: list[dict[str, float]] = []
    end = time.monotonic() + seconds
    while not rounds or time.monotonic() < end:
        rounds.append({name: _milliseconds(program, device) for name, program in programs.items()})
    medians = {name: median(r[name] for r in rounds) for name in programs}
    ratios = {
        f"ratio_{name}": median(r["ms"] / r[f"{name}_ms"] for r in rounds) for name in ("plain", "matmul")
    }
    return Timing(**medians, **ratios), products.flop


def plain_network(network: NetworkConfig) -> NetworkConfig:
    """Configure multi-head SAC at the same widths: one trunk for all tasks and a head per task."""
    plain = {"shared": SharedConfig(kind="plain"), "unique": UniqueConfig(enabled=False), "head": "per_task"}
    return network.model_copy(update=plain)


def _milliseconds(program: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    program()
    wait_for(device)
    return 1e3 * (time.perf_counter() - start)


class Products:
    """The matrix products of one update, recorded as they happen: the same operands, and nothing else."""

    def __init__(self, learner: SacLearner, batch: TensorBatch) -> None:
        self.flop = 0.0
        self._layers: list[Callable[[], object]] = []
        self._composition: list[Callable[[], object]] = []
        learner.update(batch)  # makes the buffers that later updates use again
        clock = StageClock(learner)
        with clock.attached(), _Recording(self, clock):
            learner.update(batch)

    def add(self, call: Callable[[], object], stage: str | None, flop: float) -> None:
        """Record a product that was computed in a stage."""
        self.flop += flop
        (self._composition if stage == "composition" else self._layers).append(call)

    @torch.no_grad()
    def multiply_layers(self) -> None:
        """Compute the products of the layers again."""
        for call in self._layers:
            call()

    @torch.no_grad()
    def multiply(self) -> None:
        """Compute every product again."""
        self.multiply_layers()
        for call in self._composition:
            call()


class _Recording(TorchDispatchMode):
    """Records the products among torch's operations while it is entered."""

    def __init__(self, products: Products, clock: StageClock) -> None:
        super().__init__()
        self._products, self._clock = products, clock

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        if func.overloadpacket in _PRODUCTS:
            call = lambda: func(*args, **keywords)  # noqa: E731 -- keeps the operands of this call
            out = call()
            self._products.add(call, self._clock.stage, 2.0 * out.numel() * _inner(func, args))
            return out
        return func(*args, **keywords)


def _inner(func: Any, args: Any) -> int:
    """Return the length of the sums that a product computes."""
    first = args[1] if func.overloadpacket in _WITH_ADDEND else args[0]
    return first.shape[-1]


def _split(plan: RunPlan, device: torch.device) -> dict[str, float]:
    """Split an update's milliseconds by what it does, on batches that a thread draws and copies ahead."""
    learner, config = fresh_learner(plan), plan.config
    total = WARM_UP_UPDATES + SAMPLED_UPDATES
    with stored_batches(plan, 0.5) as sampler:
        source = PrefetchSource(sampler, device, config.learner, config.sampling.is_exponent, total)
        clock, copies = StageClock(learner), BatchCopier(device)
        waited_s = copied_ms = 0.0
        with clock.attached():
            for step in range(total):
                if step == WARM_UP_UPDATES:
                    clock.reset()
                    waited_s = source.waited_s
                batch = source.next(step, timeout_s=60.0)
                assert batch is not None and batch.sampled is not None
                learner.update(batch)
                copied_ms += _milliseconds(lambda sampled=batch.sampled: copies(sampled), device)
        source.close()
    waits = {"sampling wait": 1e3 * (source.waited_s - waited_s), "copy": copied_ms * SAMPLED_UPDATES / total}
    stages = {stage: 1e3 * seconds for stage, seconds in clock.seconds.items()}
    return {name: value / SAMPLED_UPDATES for name, value in (waits | stages).items()}


def report(bench: LearnerBench, plan: RunPlan, label: str) -> str:
    """Format the benchmark for a terminal."""
    lines = [
        f"{label}, suite {plan.suite.name}: {plan.num_tasks} tasks, batch {plan.replay.batch_size}, device "
        f"{choose_device(plan.config.device)}, {torch.get_num_threads()} threads",
        f"{'batch':8} {'update':>9} {'plain':>9} {'products':>9} {'of layers':>9}   update / plain   update / products",
    ]
    for name, timing in (("even", bench.even), ("ragged", bench.ragged)):
        times = " ".join(f"{value:9.2f}" for value in timing[:4])
        lines.append(f"{name:8} {times} {timing.ratio_plain:13.2f} {timing.ratio_matmul:17.2f}")
    split = ", ".join(f"{name} {value:.2f}" for name, value in bench.split_ms.items())
    lines.append(f"times in ms; of an update: {split}")
    return "\n".join([*lines, "", *modes_report(bench.modes)])
