"""Each of the three known failures is brought about and warned of once; a healthy run is quiet."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from learner.feature_health import unique_gradient_share
from learner.sac import SacLearner
from replay_service.task_priority import task_probability, task_quotas
from stars_dist.bench.stored_batches import stored_batches
from stars_dist.config.merge import flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.health import Health

PATIENCE = 1000
NAMES = ["a", "b", "c", "d"]
GOOD = {
    "train/unique_task_variance": 0.6,
    "train/unique_within_share": 0.3,
    "train/unique_effective_rank": 3.0,
    "train/unique_gradient_share": 0.2,
}


def quotas(*rows: float) -> dict[str, float]:
    return {f"sampling/quota/{name}": count for name, count in zip(NAMES, rows, strict=True)}


def health(floor_rows: int | None = 16) -> Health:
    return Health(NAMES, floor_rows, PATIENCE)


def warnings_over(health: Health, first: int, last: int, step: int = 100) -> list[str]:
    return [warning for steps in range(first, last, step) for warning in health.warnings(steps)]


def test_a_healthy_run_is_quiet() -> None:
    watched = health()
    for steps in range(0, 20_000, 100):
        success = np.minimum(1.0, np.array([0.2, 0.3, 0.4, 0.1]) + steps / 10_000)
        watched.record_training(success)
        watched.record_learner(GOOD | quotas(32, 32, 30, 34))
        assert watched.warnings(steps) == []
    assert watched.metrics()["health/starved_tasks"] == 0


def test_there_is_no_warning_before_anything_is_known() -> None:
    assert warnings_over(health(), 0, 10_000) == []
    assert health().metrics() == {}


def test_spread_between_tasks_is_warned_of_once_it_lasts_and_again_when_it_comes_back() -> None:
    watched = health()
    apart, together = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.9, 0.8])
    watched.record_training(apart)
    assert warnings_over(watched, 0, PATIENCE) == []  # easy tasks come first in every run
    (warning,) = warnings_over(watched, PATIENCE, 5000)
    assert "std of success 0.50" in warning and "2 at zero" in warning and "the worst c" in warning
    assert watched.metrics() == {
        "health/success_std": 0.5,
        "health/success_worst_5": 0.5,
        "health/tasks_at_zero": 2.0,
        "health/starved_tasks": 0.0,
    }
    watched.record_training(together)
    assert warnings_over(watched, 5000, 8000) == []
    watched.record_training(apart)
    assert warnings_over(watched, 8000, 8000 + PATIENCE) == []  # its patience begins anew
    assert len(warnings_over(watched, 8000 + PATIENCE, 20_000)) == 1


def test_a_task_whose_critic_loss_stays_extreme_is_named() -> None:
    """The running count grows from report to report: masked at first, then taking part past the bound."""
    watched = health()
    said = []
    for i, steps in enumerate(range(0, 5000, 100)):
        count = 40.0 * min(i, 30)  # back to health after the 31st report
        watched.record_learner(GOOD | {"train/extreme_updates/c": count, "train/extreme_updates/a": 7.0})
        said += watched.warnings(steps)
    (warning,) = said
    assert warning.startswith("c has an extreme critic loss, in 440 updates so far")


def test_all_tasks_at_zero_is_a_beginning_and_no_spread() -> None:
    watched = health()
    watched.record_training(np.zeros(4))
    assert warnings_over(watched, 0, 10_000) == []


def test_task_at_the_floor_whose_mode_fails_is_starved() -> None:
    """Training episodes with noise succeed, so the quota falls to its floor; the evaluated mode never does."""
    plan = resolve([flag_layer("--suite", "suite", "toy:4"), preset_layer("small")]).plan
    watched, training = Health.of(plan), np.array([1.0, 0.2, 0.2, 0.2])
    share = task_probability(training, plan.config.sampling.task_priority)
    quota = task_quotas(share, 128, plan.config.sampling.task_priority.quota_floor)
    assert quota[0] == 16  # half of the uniform 32
    values = {f"sampling/quota/toy-{i}": float(rows) for i, rows in enumerate(quota)}
    watched.record_training(training)
    watched.record_learner(GOOD | values)
    assert warnings_over(watched, 0, plan.total_steps, 1000) == []
    watched.record_evaluation(np.array([0.0, 0.2, 0.2, 0.2]))
    (warning,) = warnings_over(watched, 0, plan.total_steps, 1000)
    assert warning.startswith("toy-0 is starved: 16 rows of a batch")
    assert watched.metrics()["health/starved_tasks"] == 1


def test_uniform_sampling_starves_nobody() -> None:
    watched = health(floor_rows=None)
    watched.record_training(np.zeros(4))
    watched.record_learner(quotas(16, 16, 16, 16))
    assert warnings_over(watched, 0, 10_000) == []


def _plan() -> RunPlan:
    """Its z are large enough that tasks of equal observations are told apart from the start."""
    z = set_layer("network.unique.task_init_std=0.5")
    return resolve([flag_layer("--suite", "suite", "toy:4"), preset_layer("small"), z]).plan


def _report(learner: SacLearner, plan: RunPlan) -> dict[str, float]:
    """The metrics of one real update."""
    from learner.batch import BatchCopier

    with stored_batches(plan, 0.0) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    result = learner.update(BatchCopier(torch.device("cpu"))(sampled))
    return result.metrics(learner.task_names) | unique_gradient_share(learner.actor)


def _collapse_features(learner: SacLearner) -> None:
    learner.actor.unique[-1].zero_()
    learner.actor.unique[-1][..., -1, :] = 1.0  # only the bias is left: one vector for all rows


def _code_the_task(learner: SacLearner) -> None:
    """Without what the first layer reads of the state, and with a large z, features are a function of the task."""
    obs_dim = learner.spec.obs_dim
    assert learner.actor.task_vector is not None
    learner.actor.unique[0][..., :obs_dim, :] = 0.0
    learner.actor.task_vector.normal_(generator=torch.Generator().manual_seed(0))


def _cut_off_features(learner: SacLearner) -> None:
    """The head ignores f_u, and there is no triplet loss."""
    learner.actor.head[:, :, -17:-1] = 0.0


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_collapse_features, {"tasks are not told apart, variance between tasks", "effective rank"}),
        (_code_the_task, {"a mere code of the task, share of the variance within tasks"}),
        (_cut_off_features, {"share of the actor's gradient"}),
    ],
)
def test_collapsed_unique_features_are_warned_of(damage, named: set[str]) -> None:
    plan = _plan()
    config, network = plan.config, plan.config.network
    if damage is _cut_off_features:
        no_triplet = network.unique.model_copy(update={"triplet_weight": 0.0})
        network = network.model_copy(update={"unique": no_triplet})
    spec, names = plan.replay.spec, plan.suite.task_names
    learner = SacLearner(network, config.sac, spec, names, torch.device("cpu"), seed=0)
    watched = Health.of(plan)
    watched.record_learner(_report(learner, plan))
    assert not [
        w for w in warnings_over(watched, 0, plan.total_steps, 1000) if "variance" in w or "rank" in w
    ]
    watched = Health.of(plan)
    with torch.no_grad():
        damage(learner)
    watched.record_learner(_report(learner, plan))
    warnings = warnings_over(watched, 0, plan.total_steps, 1000)
    assert {name for name in named if any(name in warning for warning in warnings)} == named
    assert len(warnings) == len(named)
    assert all(warning.startswith("unique features collapse") for warning in warnings)
    assert warnings_over(watched, plan.total_steps, 2 * plan.total_steps, 1000) == []


@pytest.mark.parametrize(
    ("metric", "value", "remedy"),
    [
        ("task_variance", 0.01, "raise network.unique.triplet_weight"),
        ("within_share", 0.04, "raise network.unique.within_variance"),
        ("effective_rank", 1.1, "raise network.unique.triplet_weight"),
        ("gradient_share", 1e-4, "raise network.unique.triplet_weight"),
    ],
)
def test_each_collapse_names_the_field_to_change(metric: str, value: float, remedy: str) -> None:
    watched = health()
    watched.record_learner(GOOD | {f"train/unique_{metric}": value})
    assert warnings_over(watched, 0, PATIENCE) == []
    (warning,) = warnings_over(watched, PATIENCE, 5000)
    assert remedy in warning
    watched.record_learner(GOOD)
    assert warnings_over(watched, 5000, 10_000) == []


def test_one_point_for_all_rows_is_no_code_of_the_task() -> None:
    watched = health()
    watched.record_learner(GOOD | {"train/unique_task_variance": 0.0, "train/unique_within_share": 0.0})
    (warning,) = warnings_over(watched, 0, 5000)
    assert "tasks are not told apart" in warning


@pytest.mark.parametrize("preset", ["mtsac", "mtmhsac", "paco", "shared-only"])
def test_nothing_is_said_of_unique_features_where_there_are_none(preset: str) -> None:
    layers = [flag_layer("--suite", "suite", "toy:4"), preset_layer(preset), preset_layer("small")]
    plan = resolve(layers).plan
    config, names = plan.config, plan.suite.task_names
    learner = SacLearner(config.network, config.sac, plan.replay.spec, names, torch.device("cpu"), seed=0)
    report, watched = _report(learner, plan), Health.of(plan)
    assert not [name for name in report if "unique" in name or "contrastive" in name]
    watched.record_learner(report)
    assert warnings_over(watched, 0, plan.total_steps, 1000) == []
