"""The two logs of a run, appended record by record: `all_results.bin` and `candidates.bin` (6.2, 13.6).

Killing the process loses nothing that was appended. A checkpoint names how long the logs were; a resumed run cuts them
there, and takes what stood behind as results that need not be simulated again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import msgpack
from filelock import FileLock, Timeout

from core.errors import DataError, RunError
from optimization.candidates_log import CandidateFormat, DoneCandidate
from optimization.checkpoint import State
from optimization.identity import comparable
from optimization.results_log import RecordPacker, read_maps
from optimization.run_files import RunFiles

ORDER = (
    "backtest", "bot", "coin_overrides", "live", "logging", "optimize", "results_dir", "results_filename",
    "suite_metrics", "metrics",
)  # fmt: skip
SECTIONS = ("backtest", "coin_overrides", "live", "logging", "optimize")


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """How results are written: `config` is the run's, without metadata; digits and size are those of the archive."""

    config: Mapping[str, Any]
    layout: CandidateFormat
    identity: str
    digits: int
    max_size: int
    write_all: bool
    compress: bool


@dataclass(slots=True)
class Lengths:
    """How far the logs go: records, bytes of both files, and the chained digest of the records."""

    records: int = 0
    results: int = 0
    candidates: int = 0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class RestoredLogs:
    """What a resumed run is told: candidates that are done, in order; metrics recorded after the checkpoint by
    identity; numbers of records that the results file has lost."""

    done: list[DoneCandidate]
    tail: dict[str, State]
    lost_records: range


class RunLogs:
    """Both logs of a run; one writer a run. Every write error is a RunError."""

    def __init__(self, files: RunFiles, settings: RecordSettings) -> None:
        self.files, self._settings = files, settings
        self.constant = constant_sections(settings.config, files)
        self._packer = RecordPacker(self.constant, ORDER, compress=settings.compress)
        self.lengths = Lengths(digest=_first_digest(self.constant))
        self._results: FileIO | None = None
        self._candidates: FileIO | None = None
        self._lock = FileLock(files.directory / ".lock")

    def open(self) -> None:
        """Open the logs for appending, and keep other processes out as long as they are open."""
        try:
            self._lock.acquire(blocking=False)
            self._candidates = FileIO(self.files.candidates, "a")
            if self._settings.write_all:
                self._results = FileIO(self.files.results, "a")
        except Timeout as exc:
            raise RunError(f"another process is writing {self.files.directory}: wait for it, or stop it") from exc
        except OSError as exc:
            raise RunError(f"cannot write in {self.files.directory}: {exc.strerror or exc}") from exc

    def close(self) -> None:
        """Close the logs."""
        for log in (self._results, self._candidates):
            if log is not None:
                log.close()
        self._lock.release()

    def append(self, done: DoneCandidate, varying: Mapping[str, Any]) -> None:
        """A candidate's record; `varying` are the sections that differ from record to record."""
        lengths = self.lengths
        if self._results is not None:
            record = self._packer.pack(lengths.records, varying)
            _write(self._results, record, self.files.results)
            lengths.results += len(record)
        assert self._candidates is not None, "the logs are open"
        lengths.candidates += _write(self._candidates, self._settings.layout.pack(done), self.files.candidates)
        lengths.digest = chained(lengths.digest, varying)
        lengths.records += 1

    def rewrite(self, varying: Mapping[str, Any], number: int) -> None:
        """Append a record that the results file had lost."""
        assert self._results is not None, "records are written"
        self.lengths.results += _write(self._results, self._packer.pack(number, varying), self.files.results)

    def sync(self) -> None:
        """Everything that was appended is on the disk."""
        try:
            for log in (self._results, self._candidates):
                if log is not None:
                    os.fsync(log.fileno())
        except OSError as exc:
            raise RunError(f"cannot write {self.files.directory}: {exc.strerror or exc}") from exc

    def restore(self, checkpoint: Mapping[str, Any]) -> RestoredLogs:
        """Bring the open logs to where the checkpoint was taken."""
        records, candidates_bytes = int(checkpoint["records"]), int(checkpoint["candidates_bytes"])
        done = list(self._settings.layout.read(self.files.candidates, records))
        tail = self._tail(checkpoint)
        kept_bytes, kept = self._whole_records(checkpoint)
        if self._settings.write_all:
            _cut(self.files.results, kept_bytes)
        _cut(self.files.candidates, candidates_bytes)
        self.lengths = Lengths(records, kept_bytes, candidates_bytes, checkpoint["digest"])
        return RestoredLogs(done, tail, range(kept, records) if self._settings.write_all else range(0))

    def _tail(self, checkpoint: Mapping[str, Any]) -> dict[str, State]:
        """`{identity: metrics}` of what was recorded after the checkpoint."""
        start, layout = int(checkpoint["results_bytes"]), self._settings.layout
        if not self._settings.write_all or self.files.results.stat().st_size < start:
            return {}
        with self.files.candidates.open("rb") as file:
            file.seek(int(checkpoint["candidates_bytes"]))
            rest = file.read()
        whole = range(0, len(rest) - layout.size + 1, layout.size)
        keys = [layout.unpack(rest[at : at + layout.size]).key for at in whole]
        maps = _readable(read_maps(self.files.results, start))
        return {
            key: {name: found[name] for name in ("suite_metrics", "metrics") if name in found}
            for key, found in zip(keys, maps, strict=False)
        }

    def _whole_records(self, checkpoint: Mapping[str, Any]) -> tuple[int, int]:
        """Bytes and number of the checkpoint's records that the results file still has."""
        wanted = int(checkpoint["results_bytes"])
        if not self._settings.write_all or self.files.results.stat().st_size >= wanted:
            return wanted, int(checkpoint["records"])
        sizes = 0, 0
        with self.files.results.open("rb") as file:
            unpacker = msgpack.Unpacker(file, raw=False, strict_map_key=False)
            for number, _ in enumerate(_readable(iter(unpacker)), start=1):
                sizes = unpacker.tell(), number
        return sizes


def constant_sections(config: Mapping[str, Any], files: RunFiles) -> State:
    """The parts of an entry that are the same in all of them."""
    names = {"results_dir": str(files.directory), "results_filename": str(files.results)}
    return {**{name: config[name] for name in SECTIONS}, **names}


def _first_digest(constant: Mapping[str, Any]) -> bytes:
    kept = comparable({name: constant[name] for name in SECTIONS})
    return hashlib.sha256(msgpack.packb(kept)).digest()


def chained(digest: bytes, varying: Mapping[str, Any]) -> bytes:
    """The digest with one more record."""
    parts = [varying[name] for name in ("bot", "suite_metrics", "metrics") if name in varying]
    return hashlib.sha256(digest + msgpack.packb(parts)).digest()


def _readable(maps: Iterator[Any]) -> Iterator[Any]:
    """What can be read; a damaged end is as good as none."""
    while True:
        try:
            yield next(maps)
        except (StopIteration, DataError, ValueError, msgpack.exceptions.UnpackException):
            return


def _write(log: FileIO, record: bytes, path: Path) -> int:
    try:
        written = log.write(record)
    except OSError as exc:
        raise RunError(f"cannot write {path}: {exc.strerror or exc}") from exc
    if written != len(record):
        raise RunError(f"cannot write {path}: the disk is full")
    return len(record)


def _cut(path: Path, size: int) -> None:
    try:
        os.truncate(path, size)
    except OSError as exc:
        raise RunError(f"cannot write {path}: {exc.strerror or exc}") from exc
