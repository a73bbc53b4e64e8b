"""The node_config of the clouds' cluster files: every key and value is one that AWS or Google describes."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def node_types(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())["available_node_types"]


def aws_complaints(node_config: dict[str, Any]) -> str:
    """What botocore says about a node_config as the input of RunInstances; empty if nothing."""
    shape = (
        botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    )
    request = {"MinCount": 1, "MaxCount": 1, **node_config}
    return botocore.validate.ParamValidator().validate(request, shape).generate_report()


@pytest.mark.parametrize("node_type", node_types("cluster.yaml"))
def test_aws_knows_every_key_of_node_config(node_type: str) -> None:
    assert aws_complaints(node_types("cluster.yaml")[node_type]["node_config"]) == ""


def gcp_complaints(node_config: dict[str, Any]) -> list[str]:
    """The keys and enumerated values of a node_config that Google's own description of an Instance does not have."""
    place = resources.files("googleapiclient.discovery_cache") / "documents" / "compute.v1.json"
    schemas = json.loads(place.read_text())["schemas"]

    def complaints(value: Any, schema: dict[str, Any], path: str) -> list[str]:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema
        if isinstance(value, list):
            return [found for each in value for found in complaints(each, schema["items"], path)]
        if not isinstance(value, dict):
            return [] if value in schema.get("enum", [value]) else [f"{path}={value}"]
        known = schema["properties"]
        unknown = [f"{path}.{key}" for key in value if key not in known]
        below = [complaints(value[key], known[key], f"{path}.{key}") for key in value if key in known]
        return unknown + [found for each in below for found in each]

    return complaints(node_config, {"$ref": "Instance"}, "Instance")


@pytest.mark.parametrize("node_type", node_types("cluster-gcp.yaml"))
def test_google_knows_every_key_of_node_config(node_type: str) -> None:
    assert gcp_complaints(node_types("cluster-gcp.yaml")[node_type]["node_config"]) == []


def test_a_typo_for_google_is_found() -> None:
    config = {"machineTyp": "n1", "scheduling": {"provisioningModel": "SPOTTY"}, "disks": [{"bot": True}]}
    found = {"Instance.machineTyp", "Instance.scheduling.provisioningModel=SPOTTY", "Instance.disks.bot"}
    assert set(gcp_complaints(config)) == found


@pytest.mark.parametrize(
    ("typo", "complaint"),
    [
        ({"InstanceTyp": "c7i.8xlarge"}, "InstanceTyp"),
        ({"InstanceMarketOptions": {"MarketTypes": "spot"}}, "MarketTypes"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": "40"}}]}, "VolumeSize"),
    ],
    ids=["top level", "nested", "wrong type"],
)
def test_a_typo_in_node_config_is_found(typo: dict[str, Any], complaint: str) -> None:
    assert complaint in aws_complaints(typo)
