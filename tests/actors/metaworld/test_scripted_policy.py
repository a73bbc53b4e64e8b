"""The library's scripted policies solve every task as we step it."""

from __future__ import annotations

import pytest

from actors.environment import make_environment
from actors.metaworld.benchmarks import benchmark_tasks
from actors.metaworld.scripted_policy import scripted_policy
from tests.actors.conftest import run_episodes


@pytest.mark.slow
@pytest.mark.parametrize("name", benchmark_tasks("mt50"))
def test_scripted_policies_succeed_on_every_task(name: str) -> None:
    """At least three of five goals; those of MT10 are tested always, in test_environment.py."""
    env = make_environment(name, "mt1", seed=1)
    successes, _ = run_episodes(scripted_policy(name), env, 5)
    assert successes >= 3
