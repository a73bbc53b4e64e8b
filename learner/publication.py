"""The publication of the policy: at once, or by a thread that reads a copy while the learner goes on."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable

import torch

from actors.policy_weights import PolicyWeights
from learner.publisher import PolicySource, export_policy, policy_source
from learner.sac import SacLearner


class Publication:
    """Publishes the learner's policy, in the caller's thread."""

    def __init__(self, learner: SacLearner, publish: Callable[[PolicyWeights], None]) -> None:
        self._learner, self._publish = learner, publish

    def publish_now(self) -> None:
        """Publish the policy as it is; return when that is done."""
        self._publish(export_policy(self._learner))

    def request(self) -> None:
        """Publish the policy because it is time."""
        self.publish_now()

    def close(self) -> None:
        """Return once nothing is being published."""


class PublicationBeside(Publication):
    """Publishes requests by a thread, at most one every `least_period_s`; one that comes meanwhile is left out.

    The caller pays for a copy on the device alone. What the thread raises is raised by the next call.
    """

    def __init__(
        self, learner: SacLearner, publish: Callable[[PolicyWeights], None], least_period_s: float
    ) -> None:
        super().__init__(learner, publish)
        self._least_period_s = least_period_s
        self._copy: PolicySource | None = None
        self._thread: threading.Thread | None = None
        self._begun = -float("inf")
        self._error: BaseException | None = None

    def publish_now(self) -> None:
        """Publish the policy as it is, after what is being published; return when that is done."""
        self.close()
        super().publish_now()

    def request(self) -> None:
        """Begin to publish the policy, unless the one before is not done or was begun a short while ago."""
        self._raise_error()
        now = time.monotonic()
        is_busy = self._thread is not None and self._thread.is_alive()
        if is_busy or now - self._begun < self._least_period_s:
            return
        self._begun = now
        source = self._updated_copy()
        device = self._learner.device
        copied = torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None
        self._thread = threading.Thread(
            target=self._run, args=(source, copied), name="publication", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Return once nothing is being published; raise what the thread raised."""
        if self._thread is not None:
            self._thread.join()
        self._raise_error()

    @torch.no_grad()
    def _updated_copy(self) -> PolicySource:
        """Bring the copy of the policy up to date, on the device and without waiting for it."""
        newest = policy_source(self._learner)
        if self._copy is None:
            norm = copy.deepcopy(newest.observation_norm)
            self._copy = newest._replace(actor=copy.deepcopy(newest.actor), observation_norm=norm)
        for ours, theirs in zip(self._copy.tensors(), newest.tensors(), strict=True):
            ours.copy_(theirs)
        self._copy = self._copy._replace(learner_steps=newest.learner_steps)
        return self._copy

    def _run(self, source: PolicySource, copied: torch.cuda.Event | None) -> None:
        try:
            if copied is None:
                self._publish(export_policy(source))
                return
            stream = torch.cuda.Stream(self._learner.device)
            stream.wait_event(copied)
            with torch.cuda.stream(stream):
                weights = export_policy(source)
            self._publish(weights)
        except BaseException as error:
            self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
