"""Multi-task soft actor-critic with the STARS extractor: from a batch to new weights and priorities."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from learner.actor_stage import ActorStage
from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.contrastive import contrastive_objective
from learner.critic_stage import CriticStage
from learner.diagnostics import ActorDiagnostics, UpdateResult
from learner.extreme_loss import ExtremeLossRule, ExtremeResets
from learner.finite_guard import FiniteGuard
from learner.learner_group import ALONE, LearnerGroup
from learner.learner_state import LearnerState, RandomStream
from learner.network_config import NetworkConfig
from learner.network_inputs import NetworkInputs
from learner.network_step import NetworkStep
from learner.networks import ComposedWeights, NetworkInput, actor_network, critic_network
from learner.observation_norm import ObservationNorm
from learner.optimizers import anneal, network_adam
from learner.reward_scale import RewardScale
from learner.squashed_gaussian import action_components, action_mask
from learner.temperatures import Temperatures
from learner.update_mode import EAGER, UpdateMode
from replay_service.types import TransitionSpec


class SacLearner:
    """The networks, their optimizers and the random stream. Nothing in an update waits for the device."""

    def __init__(
        self,
        network: NetworkConfig,
        sac: SacConfig,
        spec: TransitionSpec,
        task_names: Sequence[str],
        device: torch.device,
        seed: int,
        mode: UpdateMode = EAGER,
        group: LearnerGroup = ALONE,
    ) -> None:
        assert len(task_names) == spec.num_tasks
        self.network, self.sac, self.spec, self.device, self.mode = network, sac, spec, device, mode
        self.task_names, self._seed, self.group = tuple(task_names), seed, group
        init_seed, run_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
        init_generator = torch.Generator().manual_seed(init_seed)
        self.generator = torch.Generator(device).manual_seed(run_seed)
        self.observation_norm = (
            ObservationNorm(spec.obs_dim).to(device) if network.normalized_branches else None
        )
        self.actor = actor_network(network, spec, init_generator).to(device)
        self.critic = critic_network(network, spec, init_generator).to(device)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        for part in (self.actor, self.critic, self.target_critic):
            part.inner_multiple = mode.inner_multiple
        self.objective = contrastive_objective(network.unique, spec.num_tasks)
        self.guard = FiniteGuard(self.task_names, device, reads_host=self._reads_host)
        self.actor_optimizer = self.guard.guard(network_adam(self.actor, sac, mode.is_static))
        self.critic_optimizer = self.guard.guard(network_adam(self.critic, sac, mode.is_static))
        self.temperatures = Temperatures(sac, spec, self.guard, device, mode.is_static, group)
        components, scale = action_components(spec, device), (sac.task_reward_scale, sac.reward_scale)
        self.extreme_rule = ExtremeLossRule(sac.extreme_loss, sac.gamma, components, group)
        self.reward_scale = RewardScale(*scale, spec.num_tasks, device, group)
        self._build_stages()
        self._state = self._saved_state()
        self.actor_diagnostics: ActorDiagnostics | None = None  # of the newest update of the actor
        self.learner_steps = 0
        self._steps_on_device = torch.zeros((), dtype=torch.int64, device=device)  # for what a graph replays

    def _build_stages(self) -> None:
        clip, guard, group = self.sac.gradient_clip_norm, self.guard, self.group
        actor, critic = (self.actor, self.actor_optimizer), (self.critic, self.critic_optimizer)
        normalizes_trunk = "shared" in self.network.normalized_branches
        has_mix = self.actor.mix is not None
        self._inputs = NetworkInputs(self.observation_norm, normalizes_trunk, has_mix, self.mode, group)
        self._critic_stage = CriticStage(
            self.critic,
            self.target_critic,
            NetworkStep("critic", *critic, guard, clip, group),
            self.sac,
            self.objective,
            self.extreme_rule,
            group,
        )
        self._actor_stage = ActorStage(
            self.actor,
            NetworkStep("actor", *actor, guard, clip, group),
            self.sac,
            self.objective,
            action_mask(self.spec, self.device),
            self.generator,
            group,
        )
        self._resets = ExtremeResets(
            self.extreme_rule, actor, critic, self.target_critic, self.generator, self._reads_host
        )

    def _saved_state(self) -> LearnerState:
        parts = {
            "observation_norm": self.observation_norm,
            "actor": self.actor,
            "critic": self.critic,
            "target_critic": self.target_critic,
            "actor_optimizer": self.actor_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "alpha_optimizer": self.alpha_optimizer,
        }
        random = RandomStream(self.generator, self._seed)
        log_alpha, rule, scale = self.log_alpha, self.extreme_rule, self.reward_scale
        return LearnerState(parts, log_alpha, rule, scale, random, self.mode.is_static)

    @property
    def _reads_host(self) -> bool:
        """Whether an update may look at a value: where that costs nothing and no graph is made of it."""
        return self.device.type == "cpu" and not self.mode.is_static

    @property
    def log_std_bounds(self) -> tuple[float, float]:
        """Bounds of the policy's log standard deviation."""
        return self.sac.log_std_min, self.sac.log_std_max

    @property
    def log_alpha(self) -> Tensor:
        """The logarithm of the tasks' temperatures, f32[T]."""
        return self.temperatures.log_alpha

    @property
    def alpha_optimizer(self) -> torch.optim.Adam:
        """The optimizer of the temperatures."""
        return self.temperatures.optimizer

    def anneal(self, progress: float | Tensor) -> None:
        """Set the step sizes for the share `progress` (0 to 1) of the run that is done.

        A tensor, as `progress` returns it, is followed on the device: a static update alone has step sizes there.
        """
        for optimizer in (self.actor_optimizer, self.critic_optimizer):
            anneal(optimizer, self.sac, progress)

    @property
    def moves_actor(self) -> bool:
        """Whether the next update moves the actor too."""
        return (self.learner_steps + 1) % self.sac.actor_every == 0

    def count_update(self) -> None:
        """Count an update on the host; to be called where one is made without a call of `update`."""
        self.learner_steps += 1

    @property
    def learning_rate(self) -> float:
        """The step size of actor and critics in the newest update."""
        return float(self.actor_optimizer.param_groups[0]["lr"])

    def progress(self, total_updates: int) -> Tensor:
        """Return the share of a run's updates that is done, f64[] on the device."""
        return self._steps_on_device.double() / total_updates

    def update(self, batch: TensorBatch) -> UpdateResult:
        """Make a gradient step of the critics, the actor and the temperatures, and move the target critics.

        Raises:
            NonFiniteLossError: before the optimizer step (on a GPU later, at `guard.raise_if_tripped`; the
                weights are as they were before that step all the same).
        """
        self._steps_on_device += 1
        step = self._steps_on_device
        batch = batch._replace(is_weight=self.group.mean_one(batch.is_weight))
        inputs, next_inputs = self._inputs.of(batch)
        window = batch.window(self.sac.gamma)
        reward = self.reward_scale(batch.reward, batch.task_id, window)
        alpha, factors = self.log_alpha.detach().exp(), self.reward_scale.task_factors
        if factors is not None:
            alpha = alpha * factors  # rewards and temperature scaled alike leave the best policy as it was
        self.extreme_rule.observe(reward / window, batch.task_id, alpha)
        triplets = None
        if self.objective is not None:
            triplets = self.objective.draw(self.group.all_rows(batch.task_id), self.generator)
        composed = self.actor.compose()
        target = self._critic_target(reward, batch, next_inputs, composed, alpha)
        critic, verdict = self._critic_stage.update(batch, inputs, target, triplets, step)
        if self.moves_actor:
            keep, stage = ~verdict.masked, self._critic_stage
            actor = self._actor_stage.update(batch, inputs, composed, stage, alpha, keep, triplets, step)
            self.temperatures.update(batch, actor.log_prob, keep)
            self.actor_diagnostics = actor
        self._critic_stage.follow()
        self._resets.apply(verdict)
        self.count_update()
        priorities, counts = critic.td_error.abs(), self.extreme_rule.counts
        newest = self.actor_diagnostics
        return UpdateResult(priorities, batch.group_sizes, critic, newest, alpha, counts, factors)

    @torch.no_grad()
    def _critic_target(
        self,
        reward: Tensor,
        batch: TensorBatch,
        next_inputs: NetworkInput,
        composed: ComposedWeights,
        alpha: Tensor,
    ) -> Tensor:
        output = self.actor(composed, next_inputs).value_EBD[0]
        next_action, next_log_prob = self._actor_stage.sample(output, batch)
        return self._critic_stage.target(reward, batch, next_inputs, next_action, next_log_prob, alpha)

    def network_input(self, obs: Tensor, batch: TensorBatch) -> NetworkInput:
        """Return what the networks read at observations f32[B, O] of the batch's tasks, in its own groups."""
        return self._inputs.at(obs, batch, batch.group_sizes)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next update depends on: tensors, numbers and containers only."""
        return self._state.state_dict(self.learner_steps)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, see `learner/learner_state.py`."""
        self.learner_steps = self._state.load_state_dict(state)
        self._steps_on_device.fill_(self.learner_steps)
