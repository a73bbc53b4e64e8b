"""A model without textures is the stock model in everything that the simulation reads."""

from __future__ import annotations

from typing import Any

import metaworld.env_dict as env_dict
import numpy as np
import pytest

from actors.lean_model import lean_class

# What a model without textures lacks, and the tables of names, sizes and file paths that shrink with it.
OF_TEXTURES = {
    *("ntex", "ntexdata", "tex_adr", "tex_data", "tex_height", "tex_nchannel", "tex_pathadr", "tex_type"),
    *("tex_width", "mat_texid", "name_texadr", "names", "names_map", "nnames", "nnames_map"),
    *("name_matadr", "name_eqadr", "name_actuatoradr", "npaths", "paths", "nbuffer"),
    *("name_sensoradr", "name_tupleadr", "name_keyadr", "name_excludeadr", "name_pairadr", "name_tendonadr"),
}
OF_DRAWING = {"vis", "stat"}  # structures; what they hold is compared through `stat` below


@pytest.mark.parametrize("name", ["push-v3", "door-open-v3", "basketball-v3", "coffee-pull-v3"])
def test_only_the_textures_are_gone(name: str) -> None:
    stock: Any = env_dict.ALL_V3_ENVIRONMENTS[name](reward_function_version="v2")
    lean: Any = lean_class(env_dict.ALL_V3_ENVIRONMENTS[name])(reward_function_version="v2")
    compared = 0
    for field in set(dir(stock.model)) - OF_TEXTURES - OF_DRAWING:
        ours, theirs = getattr(lean.model, field), getattr(stock.model, field)
        if field.startswith("_") or callable(theirs) or field in ("opt", "signature"):
            continue
        np.testing.assert_array_equal(ours, theirs, err_msg=field)
        compared += 1
    assert compared > 300
    for part in ("opt", "stat"):
        for field in dir(getattr(stock.model, part)):
            if not field.startswith("_"):
                ours, theirs = (getattr(getattr(env.model, part), field) for env in (lean, stock))
                if not callable(theirs):
                    np.testing.assert_array_equal(ours, theirs, err_msg=f"{part}.{field}")
    assert lean.model.ntexdata == 0 < stock.model.ntexdata
