"""An exported policy file: written only once its actions were found equal to the run's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from replay_service.atomic_file import atomic_file
from stars_dist.errors import RunFailedError
from stars_dist.export.exported_policy import TOLERANCE, Act, ExportedPolicy, greatest_deviation

Format = Literal["onnx", "torchscript", "safetensors"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torchscript": ".pt", "safetensors": ".safetensors"}


class PolicyFile(NamedTuple):
    """What was written."""

    file: Path
    format: Format
    size_bytes: int
    greatest_deviation: float  # of an action, from the policy that actors run
    tasks: tuple[str, ...]
    inputs: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain data with the keys that `stars-dist export --json` prints."""
        return self._asdict() | {"file": str(self.file), "tasks": list(self.tasks)}


def write_policy_file(policy: ExportedPolicy, file_format: Format, out: Path) -> PolicyFile:
    """Export a policy and check the file's actions against the policy's.

    Raises:
        ValueError: the format's package is missing, or the file cannot be written.
        RunFailedError: the actions differ by more than the tolerance; nothing is written.
    """
    try:
        content, act = _export(policy, file_format)
    except ImportError as error:
        raise ValueError(
            f"format {file_format} needs a package that is missing ({error}); pip install 'stars-dist[export]'"
        ) from None
    deviation = greatest_deviation(policy, act)
    if not deviation <= TOLERANCE:
        raise RunFailedError(
            f"actions of a {file_format} file must be the policy's to {TOLERANCE:g}, they differ by {deviation:.2g}"
        )
    _write(out, content)
    inputs = {"obs": f"f32[N, {policy.metadata.obs_dim}]"}
    if policy.has_task_input:
        inputs["task_id"] = "i64[N], the position of the task in `tasks`"
    return PolicyFile(out, file_format, len(content), deviation, policy.metadata.tasks, inputs)


def _export(policy: ExportedPolicy, file_format: Format) -> tuple[bytes, Act]:
    """Serialise a policy, and load what was serialised."""
    if file_format == "onnx":
        from stars_dist.export.onnx_file import onnx_act, onnx_bytes

        content = onnx_bytes(policy)
        return content, onnx_act(content)
    if file_format == "torchscript":
        from stars_dist.export.torchscript_file import torchscript_act, torchscript_bytes

        content = torchscript_bytes(policy)
        return content, torchscript_act(content, policy.has_task_input)
    from stars_dist.export.safetensors_file import safetensors_act, safetensors_bytes

    content = safetensors_bytes(policy)
    return content, safetensors_act(content)


def _write(out: Path, content: bytes) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(out) as file:
            file.write(content)
    except OSError as error:
        raise ValueError(
            f"--out must be a file that can be written, got {out} ({error.strerror}); use another place"
        ) from None
