"""Reading a config by dotted path: a key that is needed, or an optional one with its default."""

from __future__ import annotations

from typing import Any

from config.changes import Config
from config.schema import BY_PATH
from core.errors import MissingKeyError


def require_config_value(config: Config, path: str) -> Any:
    """The value at a dotted path. Raises MissingKeyError naming the path when it is not there."""
    node: Any = config
    keys = path.split(".")
    for depth, key in enumerate(keys):
        if not isinstance(node, dict):
            raise MissingKeyError(f"config path {'/'.join(keys[:depth])} is not a dict (required for '{path}')")
        if key not in node:
            raise MissingKeyError(f"config missing required key '{path}'")
        node = node[key]
    return node


def optional_config_value(config: Config, path: str) -> Any:
    """The value of an optional key of the schema, or its default."""
    try:
        return require_config_value(config, path)
    except MissingKeyError:
        return BY_PATH[path].default


def set_config_value(config: Config, path: str, value: Any) -> None:
    """Write a value at a dotted path, making missing mappings on the way."""
    *parents, leaf = path.split(".")
    node = config
    for parent in parents:
        if not isinstance(node.get(parent), dict):
            node[parent] = {}
        node = node[parent]
    node[leaf] = value
