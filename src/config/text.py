"""Text to values: HJSON, and JSON as a part of it (`config_cli_suite.md` 1).

The library's number rule is ours: `610.0` and `1e3` become integers, `12345678901234567890.0` stays a float. It decides
how a number is written back, how the command line converts and how cache keys read.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import hjson

from core.errors import ConfigError

logger = logging.getLogger(__name__)

UTF_8 = "utf-8-sig"  # some editors put a byte order mark in front


class MissingFileError(ConfigError, FileNotFoundError):
    """A file that the user named does not exist."""


def parse_hjson(text: str, origin: str) -> Any:
    """Parse HJSON; the last of equal keys counts. Raises ConfigError naming `origin`, line and column."""
    try:
        return hjson.loads(text, object_pairs_hook=dict)
    except OverflowError as exc:
        raise ConfigError(f"{origin} holds a number beyond the range of floats; correct it") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{origin} is not HJSON: {exc}") from exc


def read_hjson(path: Path) -> Any:
    """Parse a file. A missing one is a MissingFileError, unreadable or malformed text a ConfigError."""
    try:
        return parse_hjson(path.read_text(encoding=UTF_8), str(path))
    except FileNotFoundError as exc:
        raise MissingFileError(f"config file {path} does not exist; check the path") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text ({exc.reason} at byte {exc.start})") from exc
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror or exc}") from exc


def parse_json(text: str, origin: str) -> Any:
    """Parse JSON given on a command line; NaN and Infinity are refused."""

    def refuse(token: str) -> Any:
        raise ValueError(f"{token} is not a number in JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as exc:
        raise ConfigError(f"{origin} is not JSON: {exc}") from exc
