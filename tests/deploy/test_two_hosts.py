"""A run over two hosts whose disks are apart: a shard, the learner and a whole host die, the host comes back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from stars_dist.chaos.stored_transitions import audit_transitions
from tests.deploy.machines import HEAD, ROOT, WORKER, check_possible, run_on_laptop, short_folder

STEPS = 16_000
SCRIPT = """
BIN={bin} FOLDER={folder}
RUN=$FOLDER/head/home/runs/two # the head's ~/runs/two
on() {{ # ADDRESS COMMAND
    ssh -n -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i $FOLDER/key root@$1 \\
        "export PATH=$BIN:\\$PATH PYTHONPATH={root} RAY_raylet_start_wait_time_s=300 OMP_NUM_THREADS=1; $2"
}}
steps() {{ tail -1 $RUN/metrics.jsonl 2> /dev/null | sed -n 's/.*"env_steps": \\([0-9]*\\).*/\\1/p'; }}
further() {{ # SECONDS: until the run is 200 steps further
    BEFORE=$(steps)
    for TRY in $(seq $(($1 * 2))); do
        [ "$(steps)" -ge $((${{BEFORE:-0}} + 200)) ] 2> /dev/null && return 0
        [ "$WHAT" != "the worker back" ] || kill -0 $LAUNCH 2> /dev/null || return 0 # a fast run is done by then
        sleep 0.5
    done
    echo "no progress for $1 s after: $WHAT"
    tail -5 $FOLDER/launch.log
    exit 1
}}
actors() {{ on $1 'pgrep -f -c [r]ay::RolloutProcess || true'; }}
start_worker() {{
    on {worker} "ray start --address={head}:6379 --num-cpus=4 --disable-usage-stats > /dev/null"
}}
on {head} "ray start --head --port=6379 --num-cpus=4 --include-dashboard=false --disable-usage-stats > /dev/null"
start_worker
on {head} "stars-dist launch --suite toy:4 --preset small --actors 4 --steps {steps} --eval-episodes 2 --address auto \\
    --checkpoint-every 400 --run-dir ~/runs/two --set replay.acknowledgement_log=$FOLDER/acks" \\
    > $FOLDER/launch.log 2>&1 &
LAUNCH=$!
WHAT="the start"
further 600
until ls $RUN/checkpoints/step-* > /dev/null 2>&1; do sleep 0.5; done
echo "ACTORS $(actors {worker})"
WHAT="a shard killed"
on {head} 'kill -9 $(pgrep -f [r]ay::Shard | head -1)'
further 300
WHAT="the learner killed"
on {head} 'kill -9 $(pgrep -f [r]ay::LearnerProcess | head -1)'
further 300
WHAT="the worker lost"
on {worker} 'ray stop --force > /dev/null 2>&1' || true
further 400
echo "ACTORS_AWAY $(actors {worker})"
WHAT="the worker back"
start_worker
further 300
wait $LAUNCH
"""


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_no_acknowledged_row_is_lost_or_counted_twice() -> None:
    check_possible()
    with short_folder() as folder:
        values = {"bin": Path(sys.executable).parent, "root": ROOT, "head": HEAD, "worker": WORKER}
        script = SCRIPT.format(**values, folder=folder, steps=STEPS)
        done = run_on_laptop(folder, script, timeout_s=2300)
        log = (folder / "launch.log").read_text()
        assert done.returncode == 0, done.stdout[-3000:] + log[-3000:]
        found = dict(line.split() for line in done.stdout.splitlines() if line.startswith("ACTORS"))
        assert int(found["ACTORS"]) > 0, "actors must be on both hosts"
        assert int(found["ACTORS_AWAY"]) == 0
        run = folder / "head" / "home" / "runs" / "two"
        evaluation = json.loads((run / "evaluation.json").read_text())
        audit = audit_transitions(run / "replay", folder / "acks", [])
        assert (audit.lost, audit.duplicates) == (0, 0), audit
        assert evaluation["env_steps"] == audit.inserted == STEPS
        assert "shard 0 was restarted" in log and "learner failed" in log
        assert not list((folder / "worker" / "home").glob("runs")), (
            "nothing of the run lies on the other disk"
        )
