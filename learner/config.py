"""Configuration of SAC, of the learner's loop and of its checkpoints; that of the networks is in network_config.py."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from learner.network_config import StrictModel

_YAML_SWITCHES = {True: "on", False: "off"}  # YAML reads a bare on or off as a boolean


def _switch(value: object) -> object:
    return _YAML_SWITCHES[value] if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)]


class ExtremeLossConfig(StrictModel):
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


class TaskRewardScaleConfig(StrictModel):
    """A factor for each task's rewards, by how large they have been, so that no task drowns beside the others."""

    enabled: bool = Field(default=False, description="whether each task's rewards have a factor of their own")
    reference: float = Field(
        default=5.0,
        gt=0,
        description="mean |reward| that a task's rewards are brought to before reward_scale; solved tasks of "
        "Meta-World earn 5 to 9 per step",
    )
    max_factor: float = Field(
        default=10.0, ge=1, description="largest factor of a task, and its inverse the smallest"
    )


class SacConfig(StrictModel):
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
        description="largest gradient norm of the actor, and of the critics together; null: no clipping",
    )
    target_entropy: float | None = Field(
        default=None, description="entropy held by alpha, nats; null: by target_entropy_per_component"
    )
    target_entropy_per_component: float = Field(
        default=-1.0, description="entropy held by alpha per component of the task's action, nats"
    )
    log_alpha_init: float = Field(default=0.0, description="start of log alpha")
    log_alpha_min: float | None = Field(
        default=-10.0, description="lower bound of log alpha; null: unbounded"
    )
    log_alpha_max: float | None = Field(default=0.0, description="upper bound of log alpha; null: unbounded")
    log_std_min: float = Field(
        default=-10.0, description="lower bound of the policy's log standard deviation"
    )
    log_std_max: float = Field(default=2.0, description="upper bound of the policy's log standard deviation")
    reward_scale: float = Field(default=1.0, gt=0, description="factor on every reward")
    task_reward_scale: TaskRewardScaleConfig = Field(
        default=TaskRewardScaleConfig(), description="a further factor for each task"
    )
    critic_value: Literal["minimum", "mean"] = Field(
        default="minimum",
        description="what target and actor take of the critics' values: minimum (SAC); mean: less pessimism "
        "(BRC, arXiv 2505.23150)",
    )
    actor_every: PositiveInt = Field(
        default=1,
        description="updates of the critics per update of actor and temperatures (2 in FastTD3 and FlashSAC)",
    )
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


class LearnerConfig(StrictModel):
    """The learner's loop."""

    num_learners: PositiveInt = Field(
        default=1,
        le=64,
        description="learner processes on the program's node, with a GPU each where there is one for each; every one "
        "takes its share of each batch, and they sum their gradients",
    )
    publish_every_updates: PositiveInt = Field(
        default=50, description="updates between two published policies"
    )
    publish_least_s: float = Field(
        default=0.5,
        ge=0,
        description="least time between two published policies of a distributed run, seconds: a fast learner would "
        "publish what no actor has time to fetch",
    )
    metrics_every_updates: PositiveInt = Field(
        default=500, description="updates between two reports of metrics"
    )
    batches_per_call: PositiveInt = Field(default=2, description="batches per sampling call to the replay")
    prefetch_calls: PositiveInt = Field(
        default=1,
        le=64,
        description="sampling calls in flight or ready ahead of the learner, without a mirror; more hide a slow replay "
        "behind fast updates, and draw by older priorities",
    )
    sample_timeout_s: float = Field(
        default=1.0,
        gt=0,
        description="longest wait of one sampling call, seconds; priorities are sent between calls",
    )
    stall_timeout_s: float = Field(
        default=1800.0, gt=0, description="longest time without a batch before the learner fails, seconds"
    )
    torch_threads: PositiveInt | None = Field(
        default=None,
        description="threads of torch on the CPU; null: one in a serial run, else by the cores that are free and the "
        "size of an update",
    )
    static_shapes: Switch = Field(
        default="auto",
        description="on: products of tasks are padded to the greatest quota, so that nothing of an update depends on "
        "what the batch holds; off: groups of rows are cut by the host; auto: on with a GPU",
    )
    replay_mirror: Switch = Field(
        default="auto",
        description="on: the replay's rows are mirrored on the learner's device, each sent once, and batches are drawn "
        "there; off: shards draw and send batches; auto: on with a GPU. On needs static_shapes",
    )
    mirror_flush_updates: PositiveInt = Field(
        default=500, description="updates between two returns of priorities from the mirror to the shards"
    )
    cuda_graph: Switch = Field(
        default="auto",
        description="on: an update is captured once as a CUDA graph and replayed; off: its operations are launched one "
        "by one; auto: on with a GPU. On needs static_shapes",
    )
    matmul_precision: Literal["float32", "tf32", "bfloat16"] = Field(
        default="tf32",
        description="what a GPU's matrix products round their operands to; sums are in float32, as is all on a CPU",
    )


class CheckpointConfig(StrictModel):
    """When checkpoints are written and how many are kept."""

    every_s: float | None = Field(
        default=300.0, gt=0, description="time between two checkpoints, seconds; null: not by time"
    )
    every_env_steps: PositiveInt | None = Field(
        default=None,
        description="environment steps after which a checkpoint is due in any case; null: by time alone",
    )
    keep_last: PositiveInt = Field(default=3, description="number of newest checkpoints that are kept")
    directory: str | None = Field(
        default=None,
        description="absolute directory or fsspec URL, as s3://bucket/run, on storage that outlives the machine: each "
        "checkpoint is copied there, and launch goes on from it; of one run alone; none: no copies",
    )

    @field_validator("directory")
    @classmethod
    def _is_one_place(cls, value: str | None) -> str | None:
        """Refuse what is relative: the learner, which writes there, runs in another directory than the program."""
        if value is None:
            return None
        scheme, mark, place = value.rpartition("://")
        if place.startswith("/") or scheme not in ("", "file", "local"):
            return value
        raise ValueError(
            f"checkpoint.directory must be a URL or an absolute path, got '{value}'; use \"{scheme}{mark}$PWD/{place}\""
        )
