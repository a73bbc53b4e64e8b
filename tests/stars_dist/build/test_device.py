"""What a configuration comes to on a device, and what is refused: rule, value and remedy."""

from __future__ import annotations

import pytest
import torch

from stars_dist.build.device import check_device, choose_device, device_use
from stars_dist.config.merge import flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def plan(*assignments: str) -> RunPlan:
    layers = [flag_layer("--suite", "suite", "toy:4"), preset_layer("small")]
    return resolve([*layers, *(set_layer(text) for text in assignments)]).plan


def test_a_cpu_takes_none_of_a_gpus_ways_by_itself() -> None:
    assert device_use(plan(), CPU)[1:] == (False, False, False)


def test_a_gpu_takes_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stars_dist.build.device.free_bytes", lambda device: 80 * 10**9)
    assert device_use(plan(), CUDA)[1:] == (True, True, True)
    off = plan("learner.replay_mirror=off", "learner.cuda_graph=off")
    assert device_use(off, CUDA)[1:] == (True, False, False)
    assert device_use(plan("learner.num_learners=2"), CUDA)[1:] == (True, False, False)
    assert device_use(plan("learner.static_shapes=off"), CUDA)[1:] == (False, False, False)


def test_a_mirror_on_the_cpu_makes_shapes_static() -> None:
    assert device_use(plan("learner.replay_mirror=on"), CPU)[1:] == (True, False, True)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["learner.cuda_graph=on"], "cuda_graph on needs a GPU.*cuda_graph=auto"),
        (
            ["learner.replay_mirror=on", "learner.static_shapes=off"],
            "needs static shapes.*static_shapes=auto",
        ),
        (
            ["learner.replay_mirror=on", "learner.num_learners=2"],
            "replay_mirror on is for one learner, got learner.num_learners 2.*replay_mirror=auto",
        ),
        (
            ["learner.replay_mirror=on", "replay.capacity_per_task=10000000000"],
            r"needs [\d,]+ bytes and [\d,]+ are free; .*replay_mirror=off, or replay.capacity_per_task of at most \d+",
        ),
    ],
)
def test_what_a_device_cannot_do_is_refused(assignments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_device(plan(*assignments), on_gpu=False)


def test_the_capacity_that_is_named_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stars_dist.build.device.free_bytes", lambda device: 10**6)
    with pytest.raises(ValueError, match="at most") as refused:
        device_use(plan("learner.replay_mirror=on"), CPU)
    fitting = str(refused.value).split()[-1]
    small = ["learner.replay_mirror=on", f"replay.capacity_per_task={int(int(fitting) * 0.98)}"]
    assert device_use(plan(*small, "replay.error_buffer=1000000"), CPU).uses_mirror


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu() -> None:
    with pytest.raises(ValueError, match="device cuda needs a GPU"):
        choose_device("cuda")
    assert choose_device("auto") == CPU
