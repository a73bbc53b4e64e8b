"""The benchmarks of Meta-World and their tasks."""

from __future__ import annotations

BENCHMARKS = ("mt10", "mt25", "mt50")


def benchmark_tasks(benchmark: str) -> tuple[str, ...]:
    """Name the tasks of `mt10`, `mt25` or `mt50` in the benchmark's own order, or with `mt1` every task."""
    import metaworld.env_dict as env_dict

    tasks = {
        "mt1": env_dict.ALL_V3_ENVIRONMENTS,
        "mt10": env_dict.MT10_V3,
        "mt25": env_dict.MT25_V3,
        "mt50": env_dict.MT50_V3,
    }
    return tuple(tasks[benchmark])
