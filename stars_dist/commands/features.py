"""`stars-dist features`: draw how tasks lie in the features of trained policies."""

from __future__ import annotations

from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist features runs/stars runs/no-triplet runs/shared-only --out features.png",
)
def features(
    runs: list[Path] = typer.Argument(
        metavar="RUN|CHECKPOINT...", help="Runs or checkpoints; each is a row of the picture."
    ),
    out: Path = typer.Option(Path("features.png"), metavar="FILE.png", help="Picture to write."),
    episodes: int = typer.Option(5, help="Episodes of each task, mode action, each of another goal."),
    states: int = typer.Option(200, help="States of each task that are drawn, spread over its episodes."),
) -> None:
    """Draw the shared and the unique features of trained policies in two dimensions, coloured by task."""
    from stars_dist.evaluate import read_checkpoint_policy
    from stars_dist.output_place import check_output_place
    from stars_dist.report.feature_map import draw_feature_maps, policy_features

    with checking_input():
        for name, value in (("--episodes", episodes), ("--states", states)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if out.suffix != ".png":
            raise ValueError(f"--out must name a .png file, got {out}; use {out.with_suffix('.png')}")
        check_output_place("a picture", out.parent)
        policies = [read_checkpoint_policy(run) for run in runs]
        suites = {policy.plan.suite.name for policy in policies}
        if len(suites) > 1:
            raise ValueError(
                f"features are compared on one suite, got {' and '.join(sorted(suites))}; draw two pictures"
            )
    drawn = {}
    for policy in policies:
        drawn[policy.name] = features_of_tasks = policy_features(policy, episodes, states)
        for branch, mapped in features_of_tasks.maps.items():
            print(f"{policy.name}: {branch} features, {mapped.within:.2f} of their variance within tasks")
    draw_feature_maps(out, drawn)
    print(f"wrote {out}")
