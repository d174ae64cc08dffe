"""Writing files so that a crash at any moment leaves either the old content or the new, never half of it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.clock import HOUR_MS
from core.errors import DataError, RunError


def temporary_name(path: Path) -> Path:
    """A hidden name beside `path` that no other process uses: `.{name}.{pid}.{random}.tmp`."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


ORPHAN_AGE_MS = HOUR_MS


def remove_orphans(directory: Path, name: str, now_ms: int) -> None:
    """Remove what killed processes left of writing `name` (a glob) in `directory`, once it is an hour old."""
    for path in directory.glob(f".{name}.*.tmp"):
        with suppress(FileNotFoundError):  # another process is cleaning up too
            if now_ms - path.stat().st_mtime_ns // 1_000_000 > ORPHAN_AGE_MS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def replacing(path: Path, *, fsync: bool = True) -> Iterator[Path]:
    """Yield a temporary path; on success it replaces `path` atomically, on failure it is removed.

    Raises RunError when the disk refuses the write (full, read-only, no permission).
    """
    tmp = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield tmp
        if fsync:
            _sync(tmp)
        tmp.replace(path)
    except OSError as exc:
        raise RunError(f"cannot write {path}: {exc.strerror or exc}; nothing was changed") from exc
    finally:
        tmp.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_text(path: Path, text: str, *, fsync: bool = True) -> None:
    """Replace `path` by UTF-8 text."""
    with replacing(path, fsync=fsync) as tmp:
        tmp.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, indent: int | None = 4, sort_keys: bool = False) -> None:
    """Replace `path` by JSON. NaN and infinities are refused (ValueError): they are not JSON."""
    write_text(path, json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file written by a program. Raises DataError naming the file when it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as exc:
        raise DataError(f"{path} cannot be read as JSON ({exc}); delete it to have it made anew") from exc
