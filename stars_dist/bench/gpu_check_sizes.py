"""How much of everything `make gpu-check` does on a GPU, and in a rehearsal on a CPU."""

from __future__ import annotations

from typing import NamedTuple


class CheckSizes(NamedTuple):
    """The sizes of the steps."""

    tests_timeout_s: float
    learner_timeout_s: float  # of each of six
    learner_options: tuple[str, ...]
    system_options: tuple[str, ...]


CHECK_SIZES = {
    "cuda": CheckSizes(120.0, 40.0, ("--seconds", "6"), ("--suite", "mt10", "--preset", "stars")),
    "cpu": CheckSizes(
        240.0,
        240.0,
        ("--seconds", "0", "--preset", "small", "--set", "sampling.batch_size_per_task=4"),
        (
            "--suite",
            "mt10",
            "--preset",
            "laptop",
            "--actors",
            "2",
            "--set",
            "replay.warmup_steps_per_task=500",
        ),
    ),
}
