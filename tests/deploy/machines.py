"""Two machines on this one, reached by ssh, for tests of `ray up` and of runs over hosts whose disks are apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HEAD, WORKER = "10.77.0.2", "10.77.0.3"
NAMESPACES = ["unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc"]
# In the place of setup_node.sh, which downloads Python and packages: the environment that runs the tests.
READY = f"""
ln -sfn {Path(sys.executable).parents[1]} ~/stars-dist-venv
echo 'export PYTHONPATH=$HOME/stars-dist RAY_raylet_start_wait_time_s=300' > ~/.bashrc
echo 'source ~/stars-dist/deploy/node_env.sh' >> ~/.bashrc
"""


def check_possible() -> None:
    """Skip the test where such machines cannot be made."""
    missing = [name for name in ("unshare", "ip", "ssh", "rsync", "ssh-keygen") if shutil.which(name) is None]
    if os.geteuid() or missing or not Path("/usr/sbin/sshd").exists():
        pytest.skip(f"needs root, /usr/sbin/sshd and {', '.join(missing) or 'nothing else'}")
    if subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no namespaces")


def machines_file(folder: Path, **changes: Any) -> Path:
    """Write deploy/machines.yaml with the addresses, user and key of the machines, and what stands for the set-up."""
    config = yaml.safe_load((ROOT / "deploy" / "machines.yaml").read_text())
    config["provider"] |= {"head_ip": HEAD, "worker_ips": [WORKER]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": f"{folder}/key"}
    config["head_setup_commands"] = config["worker_setup_commands"] = [READY]
    file = folder / "machines.yaml"
    file.write_text(yaml.safe_dump(config | changes))
    return file


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder with a short name, for Ray's sockets, that is not below /tmp/ray."""
    folder = Path("/tmp") / f"m-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_on_laptop(folder: Path, script: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a bash script beside the machines and end them with it."""
    text = f"set -e\ncd {ROOT}\nexport PATH={Path(sys.executable).parent}:$PATH PYTHONPATH={ROOT}\n{script}"
    (folder / "script.sh").write_text(text)
    command = [
        *NAMESPACES,
        "bash",
        str(ROOT / "tests/deploy/machines.sh"),
        str(folder),
        "bash",
        "-x",
        "script.sh",
    ]
    command[-1] = str(folder / "script.sh")
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            process.wait(timeout_s)
        finally:
            process.kill()  # --kill-child takes the machines along
            process.wait()
    return subprocess.CompletedProcess(command, process.returncode, (folder / "output").read_text())
