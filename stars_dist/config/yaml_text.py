"""YAML as configurations are written: numbers that read one way only, and no key twice."""

from __future__ import annotations

import re
from typing import Any

import yaml

# As in YAML 1.2 and JSON; 1e6, which PyYAML would take for text, is a number.
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
# What YAML 1.1 reads as a number of another base: 010 is 8, 0x10 is 16, 1:30 is 90, 1_000 is 1000.
_OTHER_BASE = re.compile(
    r"[-+]?(?:0[0-9_]+|0[xXbBoO][0-9a-fA-F_]+|[0-9]+(?::[0-5]?[0-9])+|[0-9][0-9_]*_[0-9_]*)$"
)
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(yaml.SafeLoader):
    """Reads numbers by the rules above; text, booleans and null as PyYAML does."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's own class attribute, by first character
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBER_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _construct_number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node))
    if _OTHER_BASE.match(text):
        raise ValueError(
            f"a number must be written in plain decimals, got {text}{_at(node)}; quote it if it is text"
        )
    return int(text) if _DECIMAL.match(text) else float(text)


def _construct_mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    first: dict[Any, yaml.Node] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str | int | float | bool) and first.setdefault(key, key_node) is not key_node:
            raise ValueError(
                f"a key must be given once, got '{key}'{_at(first[key])} and again{_at(key_node)}; leave one out"
            )
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


def _at(node: yaml.Node) -> str:
    return f" at line {node.start_mark.line + 1}"


_ANY_NUMBER = re.compile(f"(?:{_FLOAT.pattern[:-1]}|{_OTHER_BASE.pattern[:-1]})$")
_Loader.add_implicit_resolver("!number", _ANY_NUMBER, list("-+0123456789."))
_Loader.add_constructor("!number", _construct_number)
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def read_yaml(text: str | bytes) -> Any:
    """Read one YAML document.

    Raises:
        ValueError: a number is of another base, or a key is given twice; the message has the line.
        yaml.YAMLError: it does not parse.
    """
    return yaml.load(text, _Loader)
