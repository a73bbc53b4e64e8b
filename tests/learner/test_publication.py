"""A policy published by a thread is the one of its request, and no update waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from actors.policy_weights import PolicyWeights
from learner.publication import PublicationBeside
from learner.publisher import export_policy
from learner.sac import SacLearner
from tests.learner.conftest import method_config


def test_the_policy_is_that_of_the_request_while_the_learner_goes_on(
    make_learner: Callable[..., SacLearner], make_batch: Callable
) -> None:
    learner = make_learner(method_config("stars").model_copy(update={"observation_norm": True}))
    published: list[PolicyWeights] = []
    release = threading.Event()

    def publish(weights: PolicyWeights) -> None:
        assert release.wait(60)
        published.append(weights)

    publication = PublicationBeside(learner, publish, least_period_s=0.0)
    for step in range(2):
        learner.update(make_batch((3, 1, 4), seed=step))
    expected = export_policy(learner)
    publication.request()
    learner.update(make_batch((3, 1, 4), seed=9))
    publication.request()  # the first is not done: left out
    release.set()
    publication.publish_now()
    assert [weights.version for weights in published] == [2, 3]
    for name, array in expected.params.items():
        np.testing.assert_array_equal(published[0].params[name], array)


def test_requests_come_no_closer_than_the_least_time(make_learner: Callable[..., SacLearner]) -> None:
    published: list[int] = []
    publication = PublicationBeside(make_learner(), lambda w: published.append(w.version), 3600.0)
    for _ in range(3):
        publication.request()
        publication.close()
    assert published == [0]


def test_what_the_thread_raises_reaches_the_learner(make_learner: Callable[..., SacLearner]) -> None:
    def publish(weights: PolicyWeights) -> None:
        raise OSError("the object store is full")

    publication = PublicationBeside(make_learner(), publish, 0.0)
    publication.request()
    with pytest.raises(OSError, match="object store"):
        publication.close()
    publication.close()
