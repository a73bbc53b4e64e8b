"""Multi-task soft actor-critic with the STARS extractor: from a batch to new weights and priorities."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from learner import losses
from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.contrastive import Triplets, contrastive_objective
from learner.diagnostics import ActorDiagnostics, CriticDiagnostics, UpdateResult
from learner.extreme_loss import ExtremeLossRule, Verdict, draw_interpolation, reset_mix
from learner.finite_guard import FiniteGuard
from learner.network_config import NetworkConfig
from learner.network_inputs import NetworkInputs
from learner.networks import (
    ComposedWeights,
    FeatureNetwork,
    NetworkInput,
    NetworkOutput,
    actor_network,
    critic_network,
)
from learner.observation_norm import ObservationNorm
from learner.optimizers import anneal, network_adam, place_on_device, temperature_adam
from learner.random_state import restore_generator
from learner.reward_scale import RewardScale
from learner.squashed_gaussian import action_components, action_mask, sample_action, target_entropy
from learner.update_mode import EAGER, UpdateMode
from replay_service.types import TransitionSpec

Stage = Literal["critic", "actor"]


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
    ) -> None:
        assert len(task_names) == spec.num_tasks
        self.network, self.sac, self.spec, self.device, self.mode = network, sac, spec, device, mode
        self.task_names, self._seed = tuple(task_names), seed
        init_seed, run_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
        init_generator = torch.Generator().manual_seed(init_seed)
        self.generator = torch.Generator(device).manual_seed(run_seed)
        self.objective = contrastive_objective(network.unique, spec.num_tasks)
        self.observation_norm = (
            ObservationNorm(spec.obs_dim).to(device) if network.normalized_branches else None
        )
        self.actor = actor_network(network, spec, init_generator).to(device)
        self.critic = critic_network(network, spec, init_generator).to(device)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.full((spec.num_tasks,), sac.log_alpha_init, device=device, requires_grad=True)
        self._inputs = NetworkInputs(
            self.observation_norm, "shared" in network.normalized_branches, self.actor.mix is not None, mode
        )
        for part in (self.actor, self.critic, self.target_critic):
            part.inner_multiple = mode.inner_multiple
        self.guard = FiniteGuard(self.task_names, device, reads_host=self._reads_host)
        on_device = mode.is_static
        self.actor_optimizer = self.guard.guard(network_adam(self.actor, sac, on_device))
        self.critic_optimizer = self.guard.guard(network_adam(self.critic, sac, on_device))
        self.alpha_optimizer = self.guard.guard(temperature_adam(self.log_alpha, sac, on_device))
        self._stages: dict[Stage, tuple[FeatureNetwork, torch.optim.Adam]] = {
            "critic": (self.critic, self.critic_optimizer),
            "actor": (self.actor, self.actor_optimizer),
        }
        self.target_entropy = target_entropy(sac, spec, device)
        self.action_mask = action_mask(spec, device)
        self.extreme_rule = ExtremeLossRule(sac.extreme_loss, sac.gamma, action_components(spec, device))
        self.reward_scale = RewardScale(sac.task_reward_scale, sac.reward_scale, spec.num_tasks, device)
        self._actor_diagnostics: ActorDiagnostics | None = None  # of the newest update of the actor
        self.learner_steps = 0
        self._steps_on_device = torch.zeros((), dtype=torch.int64, device=device)  # for what a graph replays

    @property
    def _reads_host(self) -> bool:
        """Whether an update may look at a value: where that costs nothing and no graph is made of it."""
        return self.device.type == "cpu" and not self.mode.is_static

    @property
    def log_std_bounds(self) -> tuple[float, float]:
        """Bounds of the policy's log standard deviation."""
        return self.sac.log_std_min, self.sac.log_std_max

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
        inputs, next_inputs = self._inputs.of(batch)
        reward = self.reward_scale(batch.reward, batch.task_id)
        alpha, factors = self.log_alpha.detach().exp(), self.reward_scale.task_factors
        if factors is not None:
            alpha = alpha * factors  # rewards and temperature scaled alike leave the best policy as it was
        self.extreme_rule.observe(reward, batch.task_id, alpha)
        triplets = self._draw_contrastive(batch)
        actor_weights = self.actor.compose()
        target = self._critic_target(reward, batch, next_inputs, actor_weights, alpha)
        critic, verdict = self._update_critic(batch, inputs, target, triplets)
        if self.moves_actor:
            keep = ~verdict.masked
            actor = self._update_actor(batch, inputs, actor_weights, alpha, keep, triplets)
            self._update_temperatures(batch, actor.log_prob, keep)
            self._actor_diagnostics = actor
        self._update_target_critic()
        self._reset_extreme_tasks(verdict)
        self.count_update()
        return UpdateResult(
            critic.td_error.abs(),
            batch.group_sizes,
            critic,
            self._actor_diagnostics,
            alpha,
            self.extreme_rule.counts,
            factors,
        )

    def network_input(self, obs: Tensor, batch: TensorBatch) -> NetworkInput:
        """Return what the networks read at observations f32[B, O] of the batch's tasks, in its own groups."""
        return self._inputs.at(obs, batch, batch.group_sizes)

    @torch.no_grad()
    def _critic_target(
        self,
        reward: Tensor,
        batch: TensorBatch,
        next_inputs: NetworkInput,
        actor_weights: ComposedWeights,
        alpha: Tensor,
    ) -> Tensor:
        output = self.actor(actor_weights, next_inputs).value_EBD[0]
        next_action, next_log_prob = self._sample(output, batch)
        target_weights = self.target_critic.compose()
        values = self.target_critic(target_weights, next_inputs, next_action).value_EBD.squeeze(2)
        value = losses.critic_value(values, self.sac.critic_value)
        row_alpha = alpha[batch.task_id]
        return losses.critic_target(reward, batch.terminated, value, next_log_prob, row_alpha, self.sac.gamma)

    def _update_critic(
        self, batch: TensorBatch, inputs: NetworkInput, target: Tensor, triplets: Triplets | None
    ) -> tuple[CriticDiagnostics, Verdict]:
        """Step the critics; return also which tasks take part in this update."""
        weights = self.critic.compose().leaves()
        output = self.critic(weights, inputs, batch.action)
        value = output.value_EBD.squeeze(2)
        td_errors = target - value
        row_losses = losses.critic_row_losses(td_errors, batch.is_weight)
        task_sums = losses.sum_by_task(row_losses, batch.task_id, self.spec.num_tasks)
        group_sizes = losses.sum_by_task(torch.ones_like(row_losses), batch.task_id, self.spec.num_tasks)
        task_losses = (task_sums / group_sizes.clamp(min=1)).detach()
        verdict = self.extreme_rule.judge(task_losses, group_sizes)
        loss = losses.masked_mean(task_sums, ~verdict.masked, batch.num_rows)
        contrastive = self._contrastive_loss(output, triplets)
        norm = self._step("critic", weights, loss + contrastive, task_losses)
        td_error = td_errors.detach().mean(dim=0)
        diagnostics = CriticDiagnostics(
            loss.detach(), contrastive.detach(), norm, value.detach(), td_error, task_losses
        )
        return diagnostics, verdict

    def _update_actor(
        self,
        batch: TensorBatch,
        inputs: NetworkInput,
        actor_weights: ComposedWeights,
        alpha: Tensor,
        keep: Tensor,
        triplets: Triplets | None,
    ) -> ActorDiagnostics:
        weights = actor_weights.leaves()
        output = self.actor(weights, inputs)
        action, log_prob = self._sample(output.value_EBD[0], batch)
        critic_weights = self.critic.compose()  # constants: the gradient stops at the action
        values = self.critic(critic_weights, inputs, action).value_EBD.squeeze(2)
        value = losses.critic_value(values, self.sac.critic_value)
        row_losses = losses.actor_row_losses(log_prob, value, alpha[batch.task_id])
        task_sums = losses.sum_by_task(row_losses, batch.task_id, self.spec.num_tasks)
        loss = losses.masked_mean(task_sums, keep, batch.num_rows)
        contrastive = self._contrastive_loss(output, triplets)
        norm = self._step("actor", weights, loss + contrastive, task_sums.detach())
        unique = None if output.unique_EBF is None else output.unique_EBF[0].detach()
        margin = self.network.unique.triplet_margin
        return ActorDiagnostics(
            loss.detach(),
            contrastive.detach(),
            norm,
            log_prob.detach(),
            unique,
            batch.group_sizes,
            triplets,
            margin,
        )

    def _update_temperatures(self, batch: TensorBatch, log_prob: Tensor, keep: Tensor) -> None:
        row_losses = losses.temperature_row_losses(
            self.log_alpha[batch.task_id], log_prob, self.target_entropy[batch.task_id]
        )
        task_sums = losses.sum_by_task(row_losses, batch.task_id, self.spec.num_tasks)
        loss = losses.masked_mean(task_sums, keep, batch.num_rows)
        (self.log_alpha.grad,) = torch.autograd.grad(loss, [self.log_alpha])
        self.alpha_optimizer.step()
        low, high = self.sac.log_alpha_min, self.sac.log_alpha_max
        if low is not None or high is not None:
            with torch.no_grad():
                self.log_alpha.clamp_(low, high)

    def _sample(self, output: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        mask = None if self.action_mask is None else self.action_mask[batch.task_id]
        return sample_action(output, self.log_std_bounds, self.generator, mask)

    @torch.no_grad()
    def _update_target_critic(self) -> None:
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage] -- has no public name
            list(self.target_critic.parameters()), list(self.critic.parameters()), self.sac.tau
        )

    def _reset_extreme_tasks(self, verdict: Verdict) -> None:
        if self.actor.mix is None or not self.sac.extreme_loss.enabled:
            return
        reset = verdict.masked & verdict.healthy.any()  # with no healthy task there is nothing to mix
        if self._reads_host and not reset.any():
            return  # reading costs nothing here, while on a GPU it would wait
        self.extreme_rule.counts.resets.add_(reset)
        interpolation = draw_interpolation(verdict.healthy, self.generator)
        reset_mix(self.actor, self.actor_optimizer, reset, interpolation)
        reset_mix(self.critic, self.critic_optimizer, reset, interpolation, self.target_critic)

    def _step(self, stage: Stage, weights: ComposedWeights, loss: Tensor, task_losses: Tensor) -> Tensor:
        """Compute the gradient, clip it, check it and step; return its norm before clipping."""
        network, optimizer = self._stages[stage]
        network.set_gradients(weights.like(torch.autograd.grad(loss, weights.flat())))
        gradient = [p.grad for p in network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradient, foreach=True)
        if self.sac.gradient_clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(
                network.parameters(), self.sac.gradient_clip_norm, norm, foreach=True
            )
        self.guard.check(stage, self._steps_on_device, task_losses, norm)
        optimizer.step()
        network.normalize_mix()
        return norm

    def _draw_contrastive(self, batch: TensorBatch) -> Triplets | None:
        return None if self.objective is None else self.objective.draw(batch.task_id, self.generator)

    def _contrastive_loss(self, output: NetworkOutput, triplets: Triplets | None) -> Tensor:
        if self.objective is None or triplets is None or output.unique_EBF is None:
            return output.value_EBD.new_zeros(())
        return self.objective.loss(output.unique_EBF, triplets)

    def _parts(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in _PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next update depends on: tensors, numbers and containers only."""
        return {name: part.state_dict() for name, part in self._parts().items()} | {
            "log_alpha": self.log_alpha.detach(),
            "extreme_count": self.extreme_rule.counts.resets,
            "extreme_rule": self.extreme_rule.state_dict(),
            "reward_scale": self.reward_scale.state_dict(),
            "generator": self.generator.get_state(),
            "learner_steps": self.learner_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: bit for bit on the same kind of device and in the same mode.

        On another kind the random numbers begin anew, from the seed and the learner's steps.
        """
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        for optimizer in (self.actor_optimizer, self.critic_optimizer, self.alpha_optimizer):
            place_on_device(optimizer, self.mode.is_static)
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
            self.extreme_rule.counts.resets.copy_(state["extreme_count"])
            self.extreme_rule.load_state_dict(state.get("extreme_rule", {}))
            self.reward_scale.load_state_dict(state.get("reward_scale", {}))
        self.learner_steps = state["learner_steps"]
        self._steps_on_device.fill_(self.learner_steps)
        restore_generator(self.generator, state["generator"], (self._seed, self.learner_steps))


_PARTS = (  # by their names in a checkpoint
    "observation_norm",
    "actor",
    "critic",
    "target_critic",
    "actor_optimizer",
    "critic_optimizer",
    "alpha_optimizer",
)
