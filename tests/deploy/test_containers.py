"""Container, compose and KubeRay files: in step with the package's versions and sources, and of valid shape."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from replay_service.config import ReplayConfig
from stars_dist import __version__
from stars_dist.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
PACKAGES = {
    p.split(".")[0]
    for p in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
}
SCHEMA = json.loads((Path(__file__).parent / "rayjob-schema.json").read_text())


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())


def ray_job() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kuberay" / "rayjob.yaml").read_text())
    return next(document for document in documents if document["kind"] == "RayJob")


def pods() -> list[dict[str, Any]]:
    cluster = ray_job()["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def check_launch(arguments: list[str]) -> None:
    program: Any = typer.main.get_command(app)
    program.commands["launch"].make_context("launch", list(arguments))


def test_the_image_holds_what_pip_needs_and_the_ignore_file_lets_it_through() -> None:
    copied = {line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("COPY")}
    files = {
        name for line in re.findall(r"^COPY (.*) \./$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert PACKAGES | {"pyproject.toml", "constraints.txt", "README.md"} == copied | files
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    assert let_through == copied | files


def test_the_image_has_the_python_of_the_nodes_and_the_locked_packages_and_no_root() -> None:
    (python,) = re.findall(r"^PYTHON_VERSION=(\S+)$", (DEPLOY / "setup_node.sh").read_text(), re.MULTILINE)
    assert f"ARG PYTHON_VERSION={python}\n" in DOCKERFILE
    installs = re.findall(r"pip install (?:[^&;]|\\\n)*", DOCKERFILE)
    assert len(installs) == 3 and all("--constraint constraints.txt" in install for install in installs)
    assert re.search(r"^USER (?!0|root)", DOCKERFILE, re.MULTILINE)


def test_versions_are_those_of_the_package_and_the_constraints() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    tags = re.findall(
        r"stars-dist:(\d[\w.]*)-", DOCKERFILE + (DEPLOY / "docker" / "compose.yaml").read_text()
    )
    tags += [
        image.split(":")[1].rsplit("-", 1)[0] for pod in pods() for image in [pod["containers"][0]["image"]]
    ]
    assert len(tags) == 5 and set(tags) == {__version__}
    assert ray_job()["spec"]["rayClusterSpec"]["rayVersion"] == pins["ray"]


def test_compose_runs_a_launch_that_can_be_repeated_and_shows_tensorboard_to_this_machine_alone() -> None:
    services = compose()["services"]
    for name in ("train", "train-gpu"):
        service = services[name]
        first, *arguments = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in service["command"]]
        assert first == "launch" and "--run-dir=/runs/first" in arguments
        check_launch(arguments)
        assert service["volumes"] == ["runs:/runs"] and service["restart"] == "on-failure"
    assert services["tensorboard"]["ports"] == ["127.0.0.1:6006:6006"]


def test_kuberay_accepts_the_job() -> None:
    jsonschema.validate(ray_job(), SCHEMA)


@pytest.mark.parametrize(
    "path", ["spec.backofLimit", "spec.rayClusterSpec.headGroupSpec.template.spec.volume"]
)
def test_a_misspelt_key_of_the_job_is_found(path: str) -> None:
    job: Any = ray_job()
    *parents, key = path.split(".")
    place = job
    for parent in parents:
        place = place[parent]
    place[key] = 3
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(job, SCHEMA)


def test_a_retry_of_the_job_goes_on_with_the_run_on_the_volume() -> None:
    spec = ray_job()["spec"]
    program, name, *arguments = shlex.split(spec["entrypoint"])
    assert (program, name, spec["backoffLimit"]) == ("stars-dist", "launch", 3)
    check_launch(arguments)
    run_dir = arguments[arguments.index("--run-dir") + 1]
    (mount,) = [mount for mount in pods()[0]["containers"][0]["volumeMounts"] if mount["name"] == "runs"]
    assert run_dir.startswith(f"{mount['mountPath']}/")
    (volume,) = [volume for volume in pods()[0]["volumes"] if volume["name"] == "runs"]
    claims = [
        d
        for d in yaml.safe_load_all((DEPLOY / "kuberay" / "rayjob.yaml").read_text())
        if d["kind"] != "RayJob"
    ]
    assert [claim["metadata"]["name"] for claim in claims] == [volume["persistentVolumeClaim"]["claimName"]]


def test_no_pod_runs_as_root_and_ray_asks_for_the_token() -> None:
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods())
    assert ray_job()["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_head_and_workers_of_the_job_carry_shards_learner_and_actors() -> None:
    cluster = ray_job()["spec"]["rayClusterSpec"]
    head_cpus = int(cluster["headGroupSpec"]["rayStartParams"]["num-cpus"])
    services = ReplayConfig().shards_for(num_tasks=50) + 1
    (workers,) = cluster["workerGroupSpecs"]
    worker_cpus = int(workers["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert services <= head_cpus < int(pods()[0]["containers"][0]["resources"]["limits"]["cpu"])
    assert head_cpus - services + workers["maxReplicas"] * worker_cpus >= 50
