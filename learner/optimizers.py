"""The optimizers: Adam with a step size for weights and one for w, and how the step sizes fall over a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from learner.config import SacConfig
from learner.networks import FeatureNetwork


def network_adam(network: FeatureNetwork, sac: SacConfig, on_device: bool = False) -> torch.optim.Adam:
    """Build a network's optimizer: a first group of all parameters but w, a second of w if there is one.

    `on_device` keeps step sizes in tensors beside the parameters, for a graph that is replayed.
    """
    mix = [] if network.mix is None else [network.mix]
    rest = [p for p in network.parameters() if p is not network.mix]
    return _adam(sac, on_device, (rest, sac.learning_rate), (mix, sac.mix_learning_rate))


def temperature_adam(log_alpha: Tensor, sac: SacConfig, on_device: bool = False) -> torch.optim.Adam:
    """Build the optimizer of the tasks' temperatures."""
    return _adam(sac, on_device, ([log_alpha], sac.temperature_learning_rate))


def anneal(optimizer: torch.optim.Adam, sac: SacConfig, progress: float | Tensor) -> None:
    """Set a network's step sizes for the share `progress` (0 to 1) of the run that is done."""
    factor = 1 + progress * (sac.learning_rate_end_factor - 1)
    rates = (factor * sac.learning_rate, factor * sac.mix_learning_rate)
    for group, rate in zip(optimizer.param_groups, rates, strict=False):  # the second is w's, if any
        if not isinstance(group["lr"], Tensor):
            group["lr"] = float(rate)
        elif isinstance(rate, Tensor):
            group["lr"].copy_(rate)
        else:
            group["lr"].fill_(rate)


def place_on_device(optimizer: torch.optim.Adam, on_device: bool) -> None:
    """Keep step sizes in tensors beside the parameters, or as numbers; to be repeated after a state was loaded."""
    for group in optimizer.param_groups:
        group["capturable"], group["fused"] = on_device, True
        rate = float(group["lr"])
        device = group["params"][0].device
        group["lr"] = torch.tensor(rate, dtype=torch.float32, device=device) if on_device else rate


def _adam(sac: SacConfig, on_device: bool, *groups: tuple[Sequence[Tensor], float]) -> torch.optim.Adam:
    """Fused: one pass over all parameters, and the one kind that heeds the guard's `found_inf`."""
    optimizer = torch.optim.Adam(
        [{"params": params, "lr": rate} for params, rate in groups if params],
        eps=sac.adam_epsilon,
        fused=True,
    )
    place_on_device(optimizer, on_device)
    return optimizer
