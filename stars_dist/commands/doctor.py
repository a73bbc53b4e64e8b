"""`stars-dist doctor`: whether runs can start here, and what to mend."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist doctor",
    "stars-dist doctor --cluster                        # every node of the running Ray cluster too",
    "stars-dist doctor --cluster --address 10.0.0.1:6379 --json",
)
def doctor(
    cluster: bool = typer.Option(False, "--cluster", help="Ask every node of a running Ray cluster too."),
    address: str = typer.Option("auto", help="With --cluster: auto, or HOST:PORT of the cluster."),
    directory: Path = typer.Option(Path("runs"), "--runs", metavar="DIR", help="Where runs are to lie."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Check this machine, and a cluster: a row PASS, WARN or FAIL each, with its fix. Exit code 1 for a FAIL."""
    import sys

    from stars_dist.doctor.check import Verdict, table
    from stars_dist.doctor.machine import machine_checks
    from stars_dist.doctor.software import software_checks
    from stars_dist.monitor.terminal import columns_of

    checks = [*software_checks(), *machine_checks(directory)]
    if cluster:
        from stars_dist.doctor.nodes import cluster_checks

        with checking_input():
            _check_running(address)
            checks += cluster_checks(address)
    print(
        json.dumps([check._asdict() for check in checks])
        if as_json
        else table(checks, columns_of(sys.stdout))
    )
    if any(check.verdict is Verdict.FAIL for check in checks):
        raise typer.Exit(1)


def _check_running(address: str) -> None:
    """Check that `auto` means a cluster that runs, as no new one of this machine is to be started for this."""
    from stars_dist.cluster.connection import running_address

    if running_address(address) is None:
        raise ValueError(
            "--cluster needs a running Ray cluster, there is none here; `ray start --head`, or --address"
        )
