"""`stars-dist bench learner`: what an update costs, and what it would cost at least."""

from __future__ import annotations

import json

import typer

from stars_dist.commands.bad_input import reading_input


def bench_learner(
    preset: list[str] = typer.Option(["stars"], help="As in launch; repeatable, a later one wins."),
    suite: str = typer.Option("mt10", help="As in launch: its tasks and sizes; nothing is simulated."),
    set_: list[str] = typer.Option([], "--set", help="key.subkey=value for any field; repeatable."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    threads: str | None = typer.Option(
        None, metavar="N", help="Threads of torch.  [default: torch's choice]"
    ),
    seconds: float = typer.Option(20.0, min=0.0, help="How long to measure."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Time an update, a plain multi-head SAC's on the same batch, and the update's matrix products alone."""
    from stars_dist.layers import flag_layer, preset_layer, resolve, set_layer

    with reading_input():
        layers = [*map(preset_layer, preset), *map(set_layer, set_)]
        layers += [flag_layer("--suite", "suite", suite), flag_layer("--device", "device", device)]
        if threads is not None:
            layers.append(flag_layer("--threads", "learner.torch_threads", threads))
        config = resolve(layers).config
    from stars_dist.bench.learner import bench_learner as measure
    from stars_dist.bench.learner import report
    from stars_dist.learner_parts import choose_device

    with reading_input():
        choose_device(config.device)
    bench = measure(config, seconds)
    print(json.dumps(bench.to_json()) if as_json else report(bench, config, "+".join(preset)))
