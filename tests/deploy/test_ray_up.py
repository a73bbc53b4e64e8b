"""`ray up` on machines of one's own, with the file and the commands of deploy/README.md, by a real sshd."""

from __future__ import annotations

import json

import pytest

from tests.deploy.machines import HEAD, WORKER, check_possible, machines_file, run_on_laptop, short_folder

SCRIPT = """
ray get-auth-token --generate > /dev/null
export RAY_AUTH_MODE=token
ray up -y {file}
SSH="ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i {folder}/key"
nodes() {{ $SSH root@{head} 'bash -ic "python {folder}/nodes.py"' 2> /dev/null | tail -1; }}
for TRY in $(seq 100); do [ "$(nodes)" = 2 ] && break; sleep 3; done
echo "NODES $(nodes)"
ray dashboard {file} > {folder}/dashboard.log 2>&1 &
until (: < /dev/tcp/127.0.0.1/8265) 2> /dev/null; do sleep 0.5; done
submit() {{ ray job submit --address http://127.0.0.1:8265 -- stars-dist launch --suite toy:2 \\
    --preset small --actors 2 --steps 1200 --eval-episodes 2 --address auto --run-dir /root/runs/first; }}
submit
ray rsync-down {file} '~/runs/' {folder}/fetched/
submit | tee {folder}/again
kill %1 %2 2> /dev/null || true
ray down -y {file}
export SSH_OPTIONS="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
bash deploy/clean_machines.sh root {folder}/key {head} {worker}
for ADDRESS in {head} {worker}; do
    NUMBER=$($SSH root@$ADDRESS 'pgrep -fc "[r]aylet|[g]cs_server|[l]og_monitor|[d]ashboard|[r]ay::"' || true)
    echo "LEFT $ADDRESS $($SSH root@$ADDRESS 'ls -A ~; ls -A ~/.ray' 2>&1 | xargs) $NUMBER"
done
"""

NODES = """
import ray
ray.init(address="auto", log_to_driver=False)
print(sum(node["Alive"] for node in ray.nodes()))
"""


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_machines_are_brought_up_run_a_job_that_can_be_repeated_and_are_left_clean() -> None:
    check_possible()
    with short_folder() as folder:
        file = machines_file(folder)
        (folder / "nodes.py").write_text(NODES)
        script = SCRIPT.format(file=file, folder=folder, head=HEAD, worker=WORKER)
        done = run_on_laptop(folder, script, timeout_s=1700)
        output = done.stdout
        assert done.returncode == 0, output
        assert "NODES 2" in output, f"the worker has not joined: {output}"
        evaluation = json.loads((folder / "fetched" / "first" / "evaluation.json").read_text())
        assert evaluation["env_steps"] == 1200
        assert "there is nothing to do" in (folder / "again").read_text()
        left = dict(line.split(" ", 2)[1:] for line in output.splitlines() if line.startswith("LEFT "))
        kept = {
            ".bashrc",
            ".cache",
            ".config",
            ".pyenv",
            ".ray",
        }  # caches of libraries, and what a machine had
        for address, may_stay in ((HEAD, kept | {"runs"}), (WORKER, kept)):
            *names, num_processes = left[address].split()
            assert set(names) <= may_stay and num_processes == "0", left
