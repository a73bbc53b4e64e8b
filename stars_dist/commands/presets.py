"""`stars-dist presets`: the configurations that come with the package."""

from __future__ import annotations

import json

import typer

from stars_dist.help_page import examples


@examples(
    "stars-dist presets",
    "stars-dist presets --json",
    "stars-dist launch --preset mtsac --preset laptop --suite starter --dry-run",
)
def presets(
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """List the presets: a run takes one method, then ablations of it and mixins; a later one wins."""
    from stars_dist.config.preset_files import list_presets

    found = list_presets()
    if as_json:
        print(json.dumps([preset._asdict() for preset in found]))
        return
    width = max(len(preset.name) for preset in found)
    kind = ""
    for preset in found:
        if preset.kind != kind:
            kind = preset.kind
            print(kind)
        print(f"  {preset.name:{width}}  {preset.summary}")
