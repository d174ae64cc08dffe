"""`checkpoint.msgpack`: what a stopped run goes on from (`optimizer_pareto_tools.md` 13.6)."""

from __future__ import annotations

from typing import Any

import msgpack

from core.errors import DataError
from optimization.run_files import RunFiles

VERSION = 1

State = dict[str, Any]


def read_checkpoint(files: RunFiles) -> State:
    """The last checkpoint. Raises DataError when there is none, or it is damaged or of another version."""
    try:
        found = msgpack.unpackb(files.checkpoint.read_bytes(), use_list=True)
    except FileNotFoundError as exc:
        raise DataError(f"{files.directory} has no checkpoint: it cannot be resumed{files.hint}") from exc
    except (ValueError, msgpack.exceptions.UnpackException) as exc:
        raise DataError(f"{files.checkpoint} is damaged ({exc}): the run cannot be resumed{files.hint}") from exc
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise DataError(f"{files.checkpoint} is of another version: the run cannot be resumed{files.hint}")
    return found
