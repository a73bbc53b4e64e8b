"""A model without what is only drawn is the stock model in everything that the simulation reads."""

from __future__ import annotations

from typing import Any

import metaworld.env_dict as env_dict
import numpy as np
import pytest

from actors.metaworld.headless_model import headless_class

# What a headless model lacks, and the tables of names, places and sizes that shrink with it. Geoms and meshes are
# compared one by one below.
OF_WHAT_IS_GONE = ("tex_", "cam_", "light_", "mesh_", "geom_", "bvh_", "name_", "text_", "path", "names", "n")
OF_WHAT_IS_GONE_TOO = {
    *(
        "mat_texid",
        "body_geomadr",
        "body_geomnum",
        "body_bvhadr",
        "body_bvhnum",
        "flex_bvhadr",
        "flex_bvhnum",
    ),
    *("vis", "stat", "opt", "signature"),
}
SIZES_OF_THE_SIMULATION = (
    "nq",
    "nv",
    "nu",
    "na",
    "nbody",
    "njnt",
    "nM",
    "nD",
    "nB",
    "neq",
    "nsite",
    "nmocap",
)


@pytest.fixture(
    scope="module", params=["push-v3", "door-open-v3", "basketball-v3", "coffee-pull-v3", "hammer-v3"]
)
def models(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The stock and the headless `MjModel` of a task."""
    stock = env_dict.ALL_V3_ENVIRONMENTS[request.param]
    stock_model, headless_model = (
        environment_class(reward_function_version="v2").model
        for environment_class in (stock, headless_class(stock))
    )
    return stock_model, headless_model


def test_only_what_is_drawn_is_gone(models: tuple[Any, Any]) -> None:
    stock, headless = models
    assert headless.ntexdata == headless.ncam == headless.nlight == 0 < stock.ntexdata
    assert headless.nmeshface < stock.nmeshface / 2
    compared = [field for field in _arrays(stock) if _stays(field)]
    for field in (*SIZES_OF_THE_SIMULATION, *compared):
        np.testing.assert_array_equal(getattr(headless, field), getattr(stock, field), err_msg=field)
    assert len(compared) > 150
    for field in dir(stock.opt):
        if not field.startswith("_") and not callable(getattr(stock.opt, field)):
            ours, theirs = getattr(headless.opt, field), getattr(stock.opt, field)
            np.testing.assert_array_equal(ours, theirs, err_msg=f"opt.{field}")
    assert headless.stat.meaninertia == stock.stat.meaninertia  # the scale of the solver's tolerance


def test_every_geom_that_collides_or_has_a_name_is_the_stock_one(models: tuple[Any, Any]) -> None:
    stock, headless = models
    kept = [i for i in range(stock.ngeom) if not _is_only_drawn(stock, i)]
    gone = [i for i in range(stock.ngeom) if i not in kept]
    lost = stock.ngeom - headless.ngeom
    assert 0 < lost <= len(gone)
    # Geoms that are only drawn stay where a body's inertia was computed from them.
    ours = [i for i in range(headless.ngeom) if not _is_only_drawn(headless, i)]
    for field in _arrays(stock):
        if field.startswith("geom_") and field != "geom_dataid":
            theirs = getattr(stock, field)[kept]
            np.testing.assert_array_equal(getattr(headless, field)[ours], theirs, err_msg=field)
    for mine, other in zip(ours, kept, strict=True):
        assert headless.geom(mine).name == stock.geom(other).name
        if stock.geom_dataid[other] >= 0:
            for part in ("vert", "normal", "graph"):
                np.testing.assert_array_equal(_of_mesh(headless, mine, part), _of_mesh(stock, other, part))


def _arrays(model: Any) -> list[str]:
    return [f for f in dir(model) if not f.startswith("_") and isinstance(getattr(model, f), np.ndarray)]


def _stays(field: str) -> bool:
    return field not in OF_WHAT_IS_GONE_TOO and not field.startswith(OF_WHAT_IS_GONE)


def _is_only_drawn(model: Any, geom: int) -> bool:
    return not (model.geom_contype[geom] or model.geom_conaffinity[geom] or model.geom(geom).name)


def _of_mesh(model: Any, geom: int, part: str) -> Any:
    """Vertices, normals or hull of the mesh of a geom."""
    mesh = model.geom_dataid[geom]
    start = getattr(model, f"mesh_{part}adr")[mesh]
    if part != "graph":
        return getattr(model, f"mesh_{part}")[start : start + getattr(model, f"mesh_{part}num")[mesh]]
    if start < 0:
        return np.empty(0)
    return model.mesh_graph[start : min(a for a in [*model.mesh_graphadr, model.nmeshgraph] if a > start)]
