"""The cluster files: accepted by Ray, shaped for the product, and in step with the project's pins."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import typer
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli as ray_cli

from replay_service.config import ReplayConfig
from stars_dist.cli import app as stars_dist_app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUP_NODE = (DEPLOY / "setup_node.sh").read_text()
CLOUDS = ["cluster.yaml", "cluster-gcp.yaml"]
FILES = [*CLOUDS, "machines.yaml"]
COMMAND_KEYS = [
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
]


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())


def check(config: dict[str, Any]) -> dict[str, Any]:
    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


def start_options(config: dict[str, Any], role: str) -> dict[str, Any]:
    """The options of a role's `ray start`, as Ray's own command line reads them."""
    commands = [c for c in config[f"{role}_start_ray_commands"] if "ray start" in c]
    assert len(commands) == 1, commands
    arguments = shlex.split(commands[0].split("ray start", 1)[1])
    return ray_cli.commands["start"].make_context("start", arguments).params


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file(name: str) -> None:
    prepared = check(load(name))
    for key in COMMAND_KEYS:
        missing = set(load(name)[key]) - set(prepared[key])
        assert not missing, f"Ray dropped {missing} of {key}"


def test_ray_refuses_a_misspelt_key() -> None:
    config = load("cluster.yaml")
    config["idle_timeout_minute"] = config.pop("idle_timeout_minutes")
    with pytest.raises(jsonschema.ValidationError, match="idle_timeout_minute"):
        check(config)


def is_spot(node_config: dict[str, Any]) -> bool:
    on_aws = node_config.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
    return on_aws or node_config.get("scheduling", {}).get("provisioningModel") == "SPOT"


@pytest.mark.parametrize("name", CLOUDS)
def test_the_head_alone_has_the_gpu_and_is_never_spot(name: str) -> None:
    config = check(load(name))
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    machine = head["node_config"].get("InstanceType") or head["node_config"]["machineType"]
    assert head["resources"]["GPU"] == 1
    assert re.match(r"[gp]\d", machine), "a GPU family of AWS is named g.. or p.., Google's with an L4 g2"
    assert head["max_workers"] == 0 and not is_spot(head["node_config"])
    assert all("GPU" not in worker["resources"] for worker in types.values())


@pytest.mark.parametrize("name", CLOUDS)
def test_workers_are_spot_of_several_types_first_and_on_demand_when_there_are_none(name: str) -> None:
    """Ray ranks types by how full a demand makes them, then by whether they failed lately, then by priority."""
    types = load(name)["available_node_types"]
    workers = [worker for key, worker in types.items() if key != "gpu_head"]
    assert len({str(worker["resources"]) for worker in workers}) == 1, "or the larger one comes first"
    by_priority = sorted(workers, key=lambda worker: -worker["priority"])
    assert [is_spot(worker["node_config"]) for worker in by_priority] == [True] * (len(workers) - 1) + [False]
    assert len({worker["priority"] for worker in workers}) == len(workers)
    machines = {
        str(w["node_config"].get("InstanceType", w["node_config"].get("machineType")))
        for w in by_priority[:-1]
    }
    assert len(machines) == len(workers) - 1 >= 2


@pytest.mark.parametrize("name", CLOUDS)
def test_the_cluster_grows_to_fifty_actors_beside_the_head_and_to_nothing_without_a_run(name: str) -> None:
    config = check(load(name))
    workers = {key: worker for key, worker in config["available_node_types"].items() if key != "gpu_head"}
    assert all(worker["min_workers"] == 0 for worker in workers.values())
    for worker in workers.values():
        assert worker["max_workers"] * worker["resources"]["CPU"] >= 50
        assert worker["max_workers"] <= config["max_workers"]
    assert 0 < config["idle_timeout_minutes"] <= 30


@pytest.mark.parametrize("name", CLOUDS)
def test_shards_and_learner_of_mt50_have_a_core_each_on_the_head(name: str) -> None:
    head = load(name)["available_node_types"]["gpu_head"]
    assert ReplayConfig().shards_for(num_tasks=50) + 1 <= head["resources"]["CPU"]


def test_machines_of_your_own_run_the_autoscaler_that_starts_their_workers() -> None:
    (start,) = [c for c in load("machines.yaml")["head_start_ray_commands"] if "ray start" in c]
    assert start.index("export RAY_enable_autoscaler_v2=0;") < start.index("ray start")
    assert "setup_node.sh auto" in str(load("machines.yaml")["head_setup_commands"])


def test_no_node_type_runs_on_the_default_image_of_ray() -> None:
    for node_type in load("cluster.yaml")["available_node_types"].values():
        assert node_type["node_config"]["ImageId"].startswith(("resolve:ssm:/aws/service/", "ami-"))


@pytest.mark.parametrize("name", FILES)
def test_ray_starts_with_a_private_dashboard_and_the_autoscaler(name: str) -> None:
    head, worker = start_options(load(name), "head"), start_options(load(name), "worker")
    assert head["head"] and head["dashboard_host"] == "127.0.0.1"
    assert head["autoscaling_config"] == "~/ray_bootstrap_config.yaml"
    assert worker["address"] == f"$RAY_HEAD_IP:{head['port']}"
    assert head["object_manager_port"] == worker["object_manager_port"]


@pytest.mark.parametrize("name", FILES)
def test_every_process_of_ray_gets_the_environment_with_the_token(name: str) -> None:
    config = load(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for command in config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        assert command.startswith("source ~/stars-dist/deploy/node_env.sh; "), command
    before = {"HOME": "/h", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    script = f"source {DEPLOY / 'node_env.sh'}; env"
    shell = subprocess.run(["bash", "-c", script], env=before, capture_output=True)
    environment = dict(line.split("=", 1) for line in shell.stdout.decode().splitlines())
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_JOB_STOP_SIGNAL"] == "SIGINT"
    assert environment["PATH"].startswith("/h/stars-dist-venv/bin:")
    assert "OMP_NUM_THREADS" not in environment


@pytest.mark.parametrize("name", FILES)
def test_the_mounts_are_what_pip_needs_and_nothing_else(name: str) -> None:
    mounts = {remote: local for remote, local in load(name)["file_mounts"].items() if local != remote}
    packages = {package.split(".")[0] for package in PYPROJECT["tool"]["setuptools"]["packages"]}
    files = {"pyproject.toml", "constraints.txt", PYPROJECT["project"]["readme"]}
    scripts = {"deploy/node_env.sh", "deploy/setup_node.sh"}
    assert set(mounts.values()) == packages | files | scripts
    for remote, local in mounts.items():
        assert remote == f"~/stars-dist/{local}"
        assert (ROOT / local).exists(), f"{local} is mounted and does not exist"


@pytest.mark.parametrize("name", FILES)
def test_caches_and_git_stay_here_and_results_can_be_fetched(name: str) -> None:
    excludes = {pattern.strip("/") for pattern in load(name)["rsync_exclude"]}
    assert {"__pycache__", ".git", ".venv"} <= excludes
    assert "runs" not in excludes, "the excludes also hold for ray rsync-down ~/runs"


@pytest.mark.parametrize("name", FILES)
def test_every_command_is_written_out_and_is_bash(name: str) -> None:
    config = check(load(name))
    for command in [command for key in COMMAND_KEYS for command in config[key]]:
        assert not re.search(r"anaconda|ray-wheels|\.whl", command), (
            f"a default of Ray has crept in: {command}"
        )
        assert subprocess.run(["bash", "-n", "-c", command]).returncode == 0, command


@pytest.mark.parametrize("script", ["setup_node.sh", "node_env.sh", "clean_machines.sh"])
def test_the_scripts_are_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n", DEPLOY / script]).returncode == 0


@pytest.mark.parametrize("argument", ["", "tpu"])
def test_setup_refuses_what_it_does_not_know(argument: str, tmp_path: Path) -> None:
    command = ["bash", DEPLOY / "setup_node.sh", argument]
    shell = subprocess.run(command, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True)
    assert shell.returncode == 2
    assert shell.stderr.decode() == f"setup_node.sh takes cpu, gpu or auto, got '{argument}'\n"


def test_ray_and_torch_are_pinned_once_and_alike() -> None:
    wanted = [
        re.split(r"\[.*\]", d) for d in PYPROJECT["project"]["dependencies"] if d.startswith(("ray", "torch"))
    ]
    for requirement in wanted:
        package, version = "".join(requirement).split("==")
        assert pins()[package] == version
    assert len(wanted) == 2


def test_every_installation_goes_through_the_constraints() -> None:
    assert '--constraint "$SOURCE/constraints.txt"' in SETUP_NODE
    assert SETUP_NODE.count("pip install") == 1, "one command line, used through PIP_INSTALL"
    for name in FILES:
        commands = [
            command for key in COMMAND_KEYS for command in load(name)[key] if "pip install" in command
        ]
        assert all("--constraint ~/stars-dist/constraints.txt" in command for command in commands), commands
    clouds = {"boto3", "google-api-python-client", "google-auth-httplib2"}
    assert clouds <= pins().keys(), "the autoscaler on the head installs them"


@pytest.mark.parametrize("name", [*FILES, "setup_node.sh", "README.md"])
def test_versions_stand_in_one_place(name: str) -> None:
    text = (DEPLOY / name).read_text()
    python = re.findall(r"3\.\d+\.\d+", text)
    assert len(python) == (name == "setup_node.sh"), (
        f"the Python version stands in setup_node.sh alone, got {python}"
    )
    assert not re.search(r"\b(ray|torch|metaworld)(\[\w+\])?\s*[=:]=?\s*\d", text), (
        "constraints.txt has the version"
    )


def test_the_pinned_python_fits_the_project() -> None:
    (version,) = re.findall(r"^PYTHON_VERSION=(\d+\.\d+\.\d+)$", SETUP_NODE, re.MULTILINE)
    minimum = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert version.rsplit(".", 1)[0] == minimum, (
        "the constraints are locked for the oldest Python of the project"
    )
    assert re.search(r"^PYTHON_SHA256=[0-9a-f]{64}$", SETUP_NODE, re.MULTILINE)


def ray_commands_of_the_readme() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("ray ")]


@pytest.mark.parametrize("line", ray_commands_of_the_readme())
def test_the_ray_commands_of_the_readme_parse(line: str) -> None:
    command: click.Command = ray_cli
    arguments = shlex.split(line.split(" > ")[0], comments=True)[1:]
    while isinstance(command, click.Group):
        command = command.commands[arguments.pop(0)]
    parsed = command.make_context(command.name, arguments).params
    if "cluster_config_file" in parsed:
        assert (ROOT / parsed["cluster_config_file"]).exists()
    if parsed.get("entrypoint", ())[:1] == ("stars-dist",):
        _, name, *options = parsed["entrypoint"]
        program: Any = typer.main.get_command(stars_dist_app)
        program.commands[name].make_context(name, options)
