"""Configuration of the learner: networks, SAC, the learner's loop and its checkpoints."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

HiddenSizes = tuple[PositiveInt, ...]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SharedConfig(_Model):
    """The shared trunk: one MLP for all tasks (plain), or slices that every task mixes (composed)."""

    enabled: bool = Field(default=True, description="whether networks have a shared trunk")
    kind: Literal["composed", "plain"] = Field(
        default="composed",
        description="composed: K slices mixed by w of the task (STARS, PaCo); plain: one MLP",
    )
    num_slices: int | None = Field(
        default=None,
        description="K, slices in the pool of a composed trunk; none: 5 up to 10 tasks, 20 above",
    )
    task_input: Literal["none", "one_hot"] = Field(
        default="none", description="what the trunk reads of the task beside the observation"
    )
    slice_init: Literal["equal", "independent"] = Field(
        default="independent",
        description="equal: all slices start as copies of one (PaCo); independent: each drawn on its own",
    )
    mix_init: Literal["simplex", "normal", "uniform", "one_hot"] = Field(
        default="simplex",
        description="start of w: simplex: random, positive, sum one; normal: N(0, 1) per component; uniform: 1/K; "
        "one_hot: one slice per task in turn; the last two with 10 % of noise and independent slices only",
    )
    mix_norm: Literal["none", "unit"] = Field(
        default="unit",
        description="length of w: unit: held at one from the start on, which with independent slices keeps the "
        "scale of an ordinary layer; none: free (PaCo)",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.num_slices is not None and self.num_slices < 1:
            raise ValueError(
                f"num_slices must be at least 1, got {self.num_slices}; use none for the suite's own"
            )
        if self.kind == "plain" and self.num_slices is not None:
            raise ValueError(
                f"num_slices belongs to a composed trunk, got {self.num_slices} with kind plain; leave "
                "it out or use kind composed"
            )
        if self.kind == "composed" and self.mix_init in ("uniform", "one_hot") and self.slice_init == "equal":
            raise ValueError(
                f"mix_init {self.mix_init} needs slices that differ, got slice_init equal: every task "
                "would start with the same matrices; use mix_init normal or slice_init independent"
            )
        return self


class UniqueConfig(_Model):
    """The unique branch: normalize(MLP([s, z_tau])), trained by a contrastive loss beside its network's own.

    A large z beside raw observations makes the features a mere code of the task: docs/algorithm.md.
    """

    enabled: bool = Field(default=True, description="whether networks have a unique branch")
    task_dim: NonNegativeInt = Field(
        default=16,
        description="components of the learnable task vector z; 0: the branch reads the state alone",
    )
    task_init_std: float = Field(
        default=0.1, gt=0, description="standard deviation of z's components at the start"
    )
    normalize_input: bool = Field(
        default=True,
        description="whether this branch reads observations as every branch does with observation_norm",
    )
    hidden: HiddenSizes = Field(default=(256, 256), description="units of each hidden layer")
    dim: PositiveInt = Field(default=64, description="components of the unique features")
    objective: Literal["triplet", "hard_triplet", "supcon", "infonce"] = Field(
        default="triplet",
        description="contrastive loss of the unique features: triplet: a random positive and negative per anchor; "
        "hard_triplet: the hardest of the batch; supcon: all rows of the task as positives; infonce: one positive "
        "against all rows of other tasks",
    )
    triplet_weight: float = Field(
        default=0.1, ge=0, description="weight of the contrastive loss in each network's loss; 0 turns it off"
    )
    triplet_margin: float = Field(
        default=0.5, gt=0, description="margin m of the triplet losses; Euclidean distances are at most 2"
    )
    triplets_per_anchor: PositiveInt = Field(
        default=1, description="triplets drawn per row of a batch (objectives triplet and infonce)"
    )
    temperature: float = Field(default=0.2, gt=0, description="divisor of the cosines in supcon and infonce")
    within_variance: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="variance of a task's features (at most 1) below which a hinge in the contrastive loss raises "
        "it; 0: no hinge",
    )

    @property
    def is_contrastive(self) -> bool:
        """Whether the unique features have a contrastive loss."""
        return self.enabled and self.triplet_weight > 0


class NetworkConfig(_Model):
    """The networks of actor and critics. Every method of the comparison is a setting of these fields."""

    shared: SharedConfig = Field(default=SharedConfig(), description="the shared trunk")
    unique: UniqueConfig = Field(default=UniqueConfig(), description="the unique branch")
    head: Literal["composed", "shared", "per_task"] = Field(
        default="composed",
        description="output layer: composed with the trunk's w, one for all tasks, or one per task",
    )
    actor_hidden: HiddenSizes = Field(
        default=(400, 400, 400), description="units of each layer of the actor's trunk"
    )
    critic_hidden: HiddenSizes | None = Field(
        default=(400, 400, 400),
        description="units of each layer of a critic's trunk; none: three of 1024 up to 10 tasks, of 2048 above",
    )
    critic_layer_norm: bool = Field(default=False, description="LayerNorm before every relu of the critics")
    observation_norm: bool = Field(
        default=False,
        description="whether observations are normalized to mean 0 and standard deviation 1 by running statistics",
    )
    match_parameters: str | None = Field(
        default=None,
        description="preset to whose parameter count the hidden layers are widened when a run is configured",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.shared.enabled or self.unique.enabled):
            raise ValueError(
                "a network needs a branch, got shared.enabled false and unique.enabled false; enable one"
            )
        if self.head == "composed" and not (self.shared.enabled and self.shared.kind == "composed"):
            raise ValueError(
                "head composed takes its w from a composed shared trunk and there is none; use head shared "
                "or per_task, or shared.kind composed"
            )
        if self.shared.enabled and () in (self.actor_hidden, self.critic_hidden):
            raise ValueError(
                "a shared trunk needs a layer, got an empty actor_hidden or critic_hidden; use [400, 400]"
            )
        return self

    @property
    def normalized_branches(self) -> tuple[str, ...]:
        """The branches that read observations on one scale (`observation_norm.py`)."""
        enabled = {"shared": self.shared.enabled, "unique": self.unique.enabled}
        wanted = {
            "shared": self.observation_norm,
            "unique": self.observation_norm or self.unique.normalize_input,
        }
        return tuple(branch for branch in enabled if enabled[branch] and wanted[branch])

    def num_slices(self, num_tasks: int) -> int:
        """Return K of the trunk: as configured, else the paper's 5 (MT10) up to 10 tasks and 20 (MT50) above."""
        if self.shared.kind == "plain":
            return 1
        return self.shared.num_slices or (5 if num_tasks <= 10 else 20)

    def critic_layers(self, num_tasks: int) -> tuple[int, ...]:
        """Return the units of each layer of a critic's trunk: as configured, else those of the large critics."""
        if self.critic_hidden is not None:
            return self.critic_hidden
        return (1024,) * 3 if num_tasks <= 10 else (2048,) * 3

    def check_tasks(self, num_tasks: int) -> None:
        """Raise ValueError where the configuration does not fit the number of tasks."""
        if self.unique.is_contrastive and num_tasks < 2:
            raise ValueError(
                "a contrastive loss needs at least two tasks, got 1; use --set network.unique.triplet_weight=0 "
                "or a suite of several tasks"
            )
        sees_task = (self.unique.enabled and self.unique.task_dim > 0) or self.head == "per_task"
        if self.shared.enabled:
            sees_task |= self.shared.kind == "composed" or self.shared.task_input == "one_hot"
        if num_tasks > 1 and not sees_task:
            raise ValueError(
                f"a network must be told the task, got {num_tasks} tasks without w, z, task input or heads of "
                "their own; use network.shared.task_input=one_hot or network.head=per_task"
            )


class ExtremeLossConfig(_Model):
    """PaCo's rule: a task whose loss explodes is masked, and its w reset to a mixture of the others'."""

    enabled: bool = Field(default=True, description="whether tasks of extreme loss are masked and reset")
    scale: Literal["reward", "none"] = Field(
        default="reward",
        description="what a task's mean critic loss is compared with: reward: relative_threshold times the square "
        "of the values that its rewards allow; none: threshold (PaCo)",
    )
    relative_threshold: float = Field(
        default=0.1,
        gt=0,
        description="mean critic loss of a task (both critics) that is extreme, squared value ranges of the task",
    )
    threshold: float = Field(
        default=3e3,
        gt=0,
        description="mean critic loss of a task (both critics) that is extreme with scale none, squared rewards",
    )
    max_consecutive: PositiveInt = Field(
        default=100,
        description="updates in a row that leave a task out; then it takes part until its loss was healthy once",
    )


class SacConfig(_Model):
    """Soft actor-critic with one temperature per task."""

    gamma: float = Field(default=0.99, ge=0, lt=1, description="discount per environment step")
    tau: float = Field(
        default=0.005, gt=0, le=1, description="step of the target critics towards the critics per update"
    )
    learning_rate: float = Field(default=3e-4, gt=0, description="Adam's step size for actor and critics")
    learning_rate_end_factor: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="factor on the step sizes of actor, critics and w at the end of the run, to which they fall "
        "linearly; 1: constant",
    )
    mix_learning_rate: float = Field(
        default=1e-4, gt=0, description="Adam's step size for the mixing weights w"
    )
    temperature_learning_rate: float = Field(default=1e-4, gt=0, description="Adam's step size for log alpha")
    adam_epsilon: float = Field(
        default=1e-8, gt=0, description="Adam's epsilon for actor, critics, w and log alpha"
    )
    gradient_clip_norm: float | None = Field(
        default=1.0,
        gt=0,
        description="largest gradient norm of the actor, and of the critics together; none: no clipping",
    )
    target_entropy: float | None = Field(
        default=None, description="entropy held by alpha, nats; none: by target_entropy_per_component"
    )
    target_entropy_per_component: float = Field(
        default=-1.0, description="entropy held by alpha per component of the task's action, nats"
    )
    log_alpha_init: float = Field(default=0.0, description="start of log alpha")
    log_alpha_min: float | None = Field(
        default=-10.0, description="lower bound of log alpha; none: unbounded"
    )
    log_alpha_max: float | None = Field(default=0.0, description="upper bound of log alpha; none: unbounded")
    log_std_min: float = Field(
        default=-10.0, description="lower bound of the policy's log standard deviation"
    )
    log_std_max: float = Field(default=2.0, description="upper bound of the policy's log standard deviation")
    reward_scale: float = Field(default=1.0, gt=0, description="factor on every reward")
    extreme_loss: ExtremeLossConfig = Field(
        default=ExtremeLossConfig(), description="the extreme-loss rule of PaCo"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        low = -math.inf if self.log_alpha_min is None else self.log_alpha_min
        high = math.inf if self.log_alpha_max is None else self.log_alpha_max
        if not low <= self.log_alpha_init <= high:
            raise ValueError(
                f"log_alpha_init must lie in [log_alpha_min, log_alpha_max], got {self.log_alpha_init} in "
                f"[{self.log_alpha_min}, {self.log_alpha_max}]; move it between its bounds"
            )
        if self.log_std_min >= self.log_std_max:
            raise ValueError(
                f"log_std_min must be below log_std_max, got {self.log_std_min} and {self.log_std_max}; "
                "use -10 and 2"
            )
        return self


class LearnerConfig(_Model):
    """The learner's loop."""

    publish_every_updates: PositiveInt = Field(
        default=50, description="updates between two published policies"
    )
    metrics_every_updates: PositiveInt = Field(
        default=500, description="updates between two reports of metrics"
    )
    batches_per_call: PositiveInt = Field(default=2, description="batches per sampling call to the replay")
    prefetch_calls: PositiveInt = Field(default=1, description="sampling calls whose batches are prefetched")
    sample_timeout_s: float = Field(
        default=1.0,
        gt=0,
        description="longest wait of one sampling call, seconds; priorities are sent between calls",
    )
    stall_timeout_s: float = Field(
        default=1800.0, gt=0, description="longest time without a batch before the learner fails, seconds"
    )
    torch_threads: PositiveInt | None = Field(
        default=None, description="threads of torch on the CPU; none: torch's choice"
    )


class CheckpointConfig(_Model):
    """When checkpoints are written and how many are kept."""

    every_env_steps: PositiveInt | None = Field(
        default=None,
        description="environment steps between two checkpoints; none: chosen for the length of the run",
    )
    keep_last: PositiveInt = Field(default=3, description="number of newest checkpoints that are kept")
