"""The processor time of a run's processes."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from stars_dist.monitor.processor import ProcessTreeCores

USES_A_SECOND = """
import sys, time
while time.process_time() < 1.0: pass
print(flush=True)
sys.stdin.read()
"""


def test_the_work_of_a_descendant_counts_once() -> None:
    """The root waits, like a driver; what works is its child."""
    root = [
        sys.executable,
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {USES_A_SECOND!r}])",
    ]
    with subprocess.Popen(root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        cores, began = ProcessTreeCores(psutil.Process(process.pid)), time.monotonic()
        assert process.stdout is not None
        process.stdout.readline()
        assert 0.9 < cores.busy() * (time.monotonic() - began) < 2.0
        began = time.monotonic()
        time.sleep(0.2)
        assert cores.busy() * (time.monotonic() - began) < 0.2
        process.communicate()
