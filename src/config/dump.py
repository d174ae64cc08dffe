"""Writing configs: a layout that keeps short values on one line, and which keys stay out (`config_cli_suite.md` 18)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from config.changes import METADATA_KEYS, Config
from config.key import Key
from config.schema import SECTIONS, known_tree
from core.files import write_text

MAX_INLINE = 60
INDENT = 4
COMPACT = (",", ":")


LEAST_OF_ITEM = 2  # characters that an item of a list or mapping takes at least, with its comma


@dataclass(frozen=True, slots=True)
class _Layout:
    """`encode` writes a value on one line."""

    max_inline: int
    indent: int
    sort_keys: bool
    encode: Callable[[Any], str]

    def is_long(self, value: Any) -> bool:
        """Is that clear without writing it?"""
        return isinstance(value, dict | list | tuple) and LEAST_OF_ITEM * len(value) > self.max_inline


def streamlined_json(
    value: Any,
    *,
    max_inline: int = MAX_INLINE,
    indent: int = INDENT,
    sort_keys: bool = False,
    separators: tuple[str, str] = COMPACT,
) -> str:
    """JSON whose values stay on one line while they take at most `max_inline` characters. No final newline.

    `separators` are those of values on one line. NaN and infinities are refused (ValueError): they are not JSON.
    """
    return streamlined_part(value, 0, max_inline, indent, sort_keys=sort_keys, separators=separators)


def streamlined_part(
    value: Any,
    depth: int,
    max_inline: int = MAX_INLINE,
    indent: int = INDENT,
    *,
    sort_keys: bool = False,
    separators: tuple[str, str] = COMPACT,
) -> str:
    """The text of a value that stands `depth` levels deep in such a document."""
    encode = _encoder(separators, sort_keys=sort_keys).encode
    return _render(value, depth, _Layout(max_inline, indent, sort_keys, encode))


@cache
def _encoder(separators: tuple[str, str], *, sort_keys: bool) -> json.JSONEncoder:
    return json.JSONEncoder(separators=separators, sort_keys=sort_keys, allow_nan=False)


def _render(value: Any, depth: int, layout: _Layout) -> str:
    if not layout.is_long(value):
        inline = layout.encode(value)
        if len(inline) <= layout.max_inline or not isinstance(value, dict | list | tuple) or not value:
            return inline
    pad, end = " " * (layout.indent * (depth + 1)), " " * (layout.indent * depth)
    if isinstance(value, dict):
        keys = sorted(value) if layout.sort_keys else list(value)
        lines = [f"{pad}{json.dumps(str(key))}: {_render(value[key], depth + 1, layout)}" for key in keys]
        return "{\n" + ",\n".join(lines) + f"\n{end}}}"
    return "[\n" + ",\n".join(pad + _render(item, depth + 1, layout) for item in value) + f"\n{end}]"


def strip_metadata(value: Any) -> Any:
    """A copy without `_raw`, `_transform_log` and `_coins_sources`, at every level."""
    if isinstance(value, dict):
        return {key: strip_metadata(item) for key, item in value.items() if key not in METADATA_KEYS}
    if isinstance(value, list):
        return [strip_metadata(item) for item in value]
    return copy.copy(value)


def without_runtime_keys(config: Config) -> Config:
    """A copy without what programs add for a run and never save (4)."""
    result = copy.deepcopy(config)
    result.pop("disable_plotting", None)
    backtest = result.get("backtest", {})
    for key in [key for key in backtest if key in ("coins", "cache_dir") or key.startswith("cm_")]:
        del backtest[key]
    return result


def dump_config(config: Config, path: Path) -> None:
    """Replace `path` by the config without metadata, keys sorted, in the streamlined layout."""
    write_text(path, streamlined_json(strip_metadata(config), sort_keys=True) + "\n")


def clean_config(config: Config) -> Config:
    """Known keys only: missing or null ones come from the defaults, every `_` key goes, free mappings stay, sorted."""
    return {section: _clean(known_tree()[section], config.get(section)) for section in sorted(SECTIONS)}


def _clean(known: Any, value: Any) -> Any:
    if isinstance(known, Key):
        if value is None:
            return copy.deepcopy(known.default)
        return _without_private(value)
    node = value if isinstance(value, dict) else {}
    return {
        name: _clean(below, node.get(name))
        for name, below in sorted(known.items())
        if not (isinstance(below, Key) and below.optional and node.get(name) is None)
    }


def _without_private(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_private(value[key]) for key in sorted(value, key=str)}
        return {key: item for key, item in kept.items() if not str(key).startswith("_")}
    return [_without_private(item) for item in value] if isinstance(value, list) else copy.copy(value)
