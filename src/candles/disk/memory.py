"""Candle files kept in memory while they are unchanged on disk, for programs that read the same days over and over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from markets.candle import Candles

Stamp = tuple[int, int, int]  # modification time in ns, size, inode


class FileMemory:
    """The newest files of each directory, up to `max_rows` rows; 0 keeps nothing. Arrays in it are read-only."""

    def __init__(self, max_rows: int = 0) -> None:
        self.max_rows = max_rows
        self._directories: dict[Path, dict[str, tuple[Stamp, Candles]]] = {}
        self._guard = threading.Lock()

    def get(self, path: Path, read: Callable[[], Candles]) -> Candles:
        """The file's candles, read if it is new or has changed. Raises what `read` raises."""
        if not self.max_rows:
            return read()
        stamp = stamp_of(path)  # before reading: a replacement meanwhile is noticed next time
        known = self._directories.get(path.parent, {}).get(path.name)
        if known and known[0] == stamp:
            return known[1]
        candles = read()
        self._keep(path, stamp, candles)
        return candles

    def put(self, path: Path, candles: Candles) -> None:
        """What has just been written to the file, by who holds its lock."""
        if self.max_rows:
            self._keep(path, stamp_of(path), candles)

    def rows(self) -> dict[str, int]:
        """How many rows are kept of each directory, by its name."""
        with self._guard:
            return {
                directory.name: sum(len(kept) for _, kept in files.values())
                for directory, files in self._directories.items()
            }

    def _keep(self, path: Path, stamp: Stamp, candles: Candles) -> None:
        candles.flags.writeable = False
        with self._guard:
            files = self._directories.setdefault(path.parent, {})
            files[path.name] = stamp, candles
            total = sum(len(kept) for _, kept in files.values())
            for name in sorted(files):  # file names sort by time
                if total <= self.max_rows:
                    break
                total -= len(files.pop(name)[1])


def stamp_of(path: Path) -> Stamp:
    """What tells one version of a file from another. Raises FileNotFoundError."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
