"""A disk of one MB, for what happens when it is full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A file system of one MB at `place`, which only root can make; skips where it cannot be made."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {made.stderr.strip()}")
    yield
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, room: int) -> None:
    """Leave `room` bytes."""
    (disk / "filling").write_bytes(b"x" * ((1 << 20) - room))


def give_room(disk: Path) -> None:
    """Room for all, at last."""
    (disk / "filling").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
