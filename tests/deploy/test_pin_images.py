"""Image names of cluster.yaml become ids, asked of AWS's own client with the answers of AWS's own model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber

DEPLOY = Path(__file__).parents[2] / "deploy"


def pin_images() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pin_images", DEPLOY / "pin_images.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def client(names: list[str], answer: dict[str, Any]) -> Any:
    ssm = boto3.client("ssm", "us-west-2", aws_access_key_id="none", aws_secret_access_key="none")
    stubber = Stubber(ssm)
    stubber.add_response("get_parameters", answer, {"Names": names})
    stubber.activate()
    return ssm


def test_every_name_of_the_cluster_file_becomes_an_id() -> None:
    text = (DEPLOY / "cluster.yaml").read_text()
    names = sorted(set(pin_images().NAME.findall(text)))
    parameters = [{"Name": name, "Value": f"ami-{index:08x}"} for index, name in enumerate(names)]
    pinned = pin_images().pinned(text, client(names, {"Parameters": parameters}))
    types = yaml.safe_load(pinned)["available_node_types"]
    images = {name: node_type["node_config"]["ImageId"] for name, node_type in types.items()}
    workers = {image for name, image in images.items() if name != "gpu_head"}
    assert len(names) == 2 and len(workers) == 1
    assert images["gpu_head"].startswith("ami-") and workers.pop().startswith("ami-")
    assert pinned.replace("ami-", "").count("resolve:ssm") == 0
    assert pin_images().pinned(pinned, ssm=None) == pinned, "a second call asks nothing"


def test_a_name_that_aws_has_no_longer_is_said() -> None:
    ssm = client(["/old"], {"Parameters": [], "InvalidParameters": ["/old"]})
    with pytest.raises(ValueError, match="/old has none"):
        pin_images().pinned("ImageId: resolve:ssm:/old\n", ssm)
