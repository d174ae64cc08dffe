"""The transform log of a config: what was loaded, renamed, added, removed, set (`config_cli_suite.md` 18.3)."""

from __future__ import annotations

from typing import Any, TypeAlias

from core.clock import Clock

LOG_KEY = "_transform_log"
SOURCES_KEY = "_coins_sources"
RAW_KEY = "_raw"
METADATA_KEYS = (RAW_KEY, LOG_KEY, SOURCES_KEY)

_MAX_TEXT = 80
_MAX_ITEMS = 6

Config: TypeAlias = dict[str, Any]


def abbreviate(value: Any) -> Any:
    """A value short enough for a log: long texts, lists and mappings are cut, foreign objects become their type."""
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else value[: _MAX_TEXT - 3] + "..."
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        rest = len(value) - _MAX_ITEMS
        return [abbreviate(item) for item in value[:_MAX_ITEMS]] + ([f"... (+{rest})"] if rest > 0 else [])
    if isinstance(value, dict):
        rest = len(value) - _MAX_ITEMS
        short = {str(key): abbreviate(value[key]) for key in list(value)[:_MAX_ITEMS]}
        return {"__dict__": short | ({"...": f"{rest} more keys"} if rest > 0 else {})}
    return f"<{type(value).__name__}>"


class Changes:
    """The changes of one step, in order."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def add(self, path: str, value: Any) -> None:
        self.entries.append({"action": "add", "path": path, "value": abbreviate(value)})

    def remove(self, path: str, value: Any) -> None:
        self.entries.append({"action": "remove", "path": path, "value": abbreviate(value)})

    def rename(self, old: str, new: str, value: Any) -> None:
        self.entries.append({"action": "rename", "from": old, "to": new, "value": abbreviate(value)})

    def update(self, path: str, old: Any, new: Any) -> None:
        self.entries.append({"action": "update", "path": path, "old": abbreviate(old), "new": abbreviate(new)})


def record(config: Config, step: str, clock: Clock, details: Config | None = None, *, first: bool = False) -> None:
    """Add a step to the log of `config`."""
    entry: Config = {"step": step, "ts_ms": clock.now_ms()} | ({"details": details} if details is not None else {})
    log: list[Config] = list(config.get(LOG_KEY, ()))
    config[LOG_KEY] = [entry, *log] if first else [*log, entry]
