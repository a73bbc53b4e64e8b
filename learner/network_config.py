"""Configuration of the networks of actor and critics: every method of the comparison is a setting of these fields."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

HiddenSizes = tuple[PositiveInt, ...]


class StrictModel(BaseModel):
    """A frozen part of the configuration that refuses unknown fields, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SharedConfig(StrictModel):
    """The shared trunk: one MLP for all tasks (plain), or slices that every task mixes (composed)."""

    enabled: bool = Field(default=True, description="whether networks have a shared trunk")
    kind: Literal["composed", "plain"] = Field(
        default="composed",
        description="composed: K slices mixed by w of the task (STARS, PaCo); plain: one MLP",
    )
    num_slices: int | None = Field(
        default=None,
        description="K, slices in the pool of a composed trunk; null: 5 up to 10 tasks, 20 above",
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
        "scale of an ordinary layer (equal ones begin sum(w) times as large); none: free (PaCo)",
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


class UniqueConfig(StrictModel):
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


class NetworkConfig(StrictModel):
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
        description="units of each layer of a critic's trunk; null: three of 1024 up to 10 tasks, of 2048 above",
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
