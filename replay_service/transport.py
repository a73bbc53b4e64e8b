"""Transports: how a call reaches a shard, in this process or through Ray.

Ray is imported where it is used, so that a run in one process does not pay for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from replay_service.shard import Shard


class ShardUnavailable(Exception):  # noqa: N818 - a state that passes
    """The shard does not answer now, and it is unknown whether the call was executed; call again."""


class Pending(Protocol):
    """A call in flight."""

    def done(self) -> bool:
        """Return whether `result` would return or raise at once."""
        ...

    def result(self, timeout_s: float) -> Any:
        """Return the answer; raise ShardUnavailable, TimeoutError, or what the shard raised."""
        ...


class Transport(Protocol):
    """Calls to the shards of one service. Arrays of an answer may be read-only."""

    is_concurrent: bool  # whether the caller goes on while the call is executed

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        """Start a call of a shard's method."""
        ...

    def wait(self, calls: Sequence[Pending], timeout_s: float) -> None:
        """Sleep until one of the calls is done, at most `timeout_s`."""
        ...


class LocalTransport:
    """Shards in this process; a call is executed at once, in the caller's thread."""

    is_concurrent = False

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        """Execute a call."""
        try:
            return _Answer(getattr(self._shards[shard], method)(*args), None)
        except Exception as error:
            return _Answer(None, error)

    def wait(self, calls: Sequence[Pending], timeout_s: float) -> None:
        """Return at once: every call is done."""


class _Answer:
    def __init__(self, value: Any, error: Exception | None) -> None:
        self._value = value
        self._error = error

    def done(self) -> bool:
        return True

    def result(self, timeout_s: float) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class RayTransport:
    """Shards that are Ray actors of `ray_shard_class`. Arrays of an answer are read-only: copy to write."""

    is_concurrent = True

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        """Start a call in the thread group of its kind, see `ray_shard_class`."""
        call = getattr(self._handles[shard], method)
        if method != "insert":
            group = "snapshot" if method == "write_snapshot" else "learner"
            call = call.options(concurrency_group=group)
        return _RayCall(shard, call.remote(*args))

    def wait(self, calls: Sequence[Pending], timeout_s: float) -> None:
        """Sleep until one of the calls is done, at most `timeout_s`."""
        import ray

        ray.wait([call.reference for call in calls if isinstance(call, _RayCall)], timeout=timeout_s)


class _RayCall:
    def __init__(self, shard: int, reference: Any) -> None:
        self._shard = shard
        self.reference = reference

    def done(self) -> bool:
        import ray

        return bool(ray.wait([self.reference], timeout=0)[0])

    def result(self, timeout_s: float) -> Any:
        import ray
        import ray.exceptions

        try:
            return ray.get(self.reference, timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            raise TimeoutError(f"shard {self._shard} did not answer within {timeout_s:.1f} s") from None
        except ray.exceptions.ActorUnavailableError as error:  # restarting; the handle stays good
            raise ShardUnavailable(f"shard {self._shard} is restarting or out of reach") from error
        except ray.exceptions.ActorDiedError as error:  # also of a call in flight when the process was killed
            raise ShardUnavailable(f"shard {self._shard} died under the call") from error


def ray_shard_class(max_waiting_inserts: int) -> Any:
    """Return Shard as a Ray actor class; set further options with `.options`.

    Inserts that wait for the limiter have threads of their own, as has a snapshot, so that they never block
    the sampler. `max_waiting_inserts` is the number of chunks that actors may have in flight at a shard.
    """
    import ray

    # ray's stubs do not know concurrency_groups
    decorate: Any = ray.remote(
        concurrency_groups={"learner": 2, "snapshot": 1}, max_concurrency=max_waiting_inserts
    )  # type: ignore[call-overload]
    return decorate(Shard)
