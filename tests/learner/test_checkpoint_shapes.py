"""Shapes alone tell whether a checkpoint fits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from learner.checkpoint_shapes import check_shapes
from learner.sac import SacLearner
from tests.learner.conftest import VARIANTS, method_config


@pytest.mark.parametrize("method", VARIANTS)
def test_a_learner_fits_its_own_configuration(method: str, make_learner: Callable[..., SacLearner]) -> None:
    learner = make_learner(method_config(method))
    check_shapes(learner.state_dict(), learner.network, learner.spec)


def test_another_width_and_another_method_do_not_fit(make_learner: Callable[..., SacLearner]) -> None:
    learner = make_learner(method_config("stars"))
    wider = method_config("stars").model_copy(update={"critic_hidden": (20, 10)})
    with pytest.raises(
        ValueError, match=r"its critic has shared.0 of shape \(2, 3, 8, 14\) and .* \(2, 3, 8, 20\)"
    ):
        check_shapes(learner.state_dict(), wider, learner.spec)
    with pytest.raises(ValueError, match="its actor has head of shape"):
        check_shapes(learner.state_dict(), method_config("shared-only"), learner.spec)
