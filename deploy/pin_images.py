"""Pin the images of cluster.yaml: each `resolve:ssm:NAME` becomes the id of today's image in the cluster's region.

Usage: python deploy/pin_images.py [FILE]     with the AWS credentials of whoever calls `ray up`

All nodes then start from one image, also in a month, and the head needs no right to look it up: Ray gives its role
none. A file without such names is left as it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

NAME = re.compile(r"resolve:ssm:(\S+)")


def pinned(text: str, ssm: Any) -> str:
    """Return the file's text with image ids in the place of names.

    Raises:
        ValueError: AWS has no parameter of a name.
    """
    names = sorted(set(NAME.findall(text)))
    if not names:
        return text
    answer = ssm.get_parameters(Names=names)
    if answer.get("InvalidParameters"):
        raise ValueError(
            f"an image must have a public parameter in its region, {answer['InvalidParameters'][0]} has none; "
            "look for its new name in the AWS documentation of the image"
        )
    images = {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
    return NAME.sub(lambda match: images[match[1]], text)


def main(file: Path) -> None:
    """Rewrite the file and say which images it names now."""
    import boto3

    text = file.read_text()
    region = yaml.safe_load(text)["provider"]["region"]
    file.write_text(after := pinned(text, boto3.client("ssm", region_name=region)))
    print(f"{file}: {', '.join(sorted(set(re.findall(r'ami-[0-9a-f]+', after))))}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "deploy/cluster.yaml"))
