"""Preset files: the package's by name, anyone's by path, and how wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_dist.config.preset_files import preset_layer, preset_names


def test_a_preset_of_the_package_is_found_by_its_name() -> None:
    layer = preset_layer("no-triplet")
    assert layer.origin == "preset no-triplet"
    assert layer.values == {"network": {"unique": {"triplet_weight": 0.0}}}


def test_names_are_listed_by_kind() -> None:
    assert preset_names("mixins") == ["laptop", "small"]
    assert preset_names("methods", "mixins") == sorted([*preset_names("methods"), "laptop", "small"])
    assert set(preset_names()) == {*preset_names("methods", "mixins"), *preset_names("ablations")}


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_a_file_is_found_by_its_path(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"mine.{ending}"
    file.write_text("sac: {gamma: 0.97}\n")
    layer = preset_layer(str(file))
    assert layer == (f"preset {file}", {"sac": {"gamma": 0.97}})


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n")
    assert preset_layer(str(file)).values == {}


BAD_NAMES = {
    "unknown preset": ("laptob", "unknown preset 'laptob', did you mean 'laptop'?"),
    "missing file": (
        "none.yaml",
        "a preset file must exist, got 'none.yaml'; presets by name: laptop, mtmhsac",
    ),
}
BAD_FILES = {
    "no YAML": (b"sac: {gamma\n", "does not parse at line 2; mend the file"),
    "no text": (b"\xff\xfe\xff", "does not parse"),
    "no mapping": (b"- sac\n", "must be a mapping of keys to values"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_a_wrong_name_is_refused(case: str) -> None:
    name, message = BAD_NAMES[case]
    with pytest.raises(ValueError) as error:
        preset_layer(name)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_wrong_file_is_refused(case: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[case]
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(ValueError) as error:
        preset_layer(str(file))
    assert message in str(error.value) and "\n" not in str(error.value)
