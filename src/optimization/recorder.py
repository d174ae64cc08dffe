"""Everything a run writes: `all_results.bin`, the archive's files, `candidates.bin`, checkpoints (6, 13.6).

Logs are appended record by record, so that killing the process loses nothing that was recorded. A checkpoint names how
long the logs were at a boundary of the schedule; a resumed run cuts them there, and takes what stood behind as results
that need not be simulated again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import msgpack

from core.errors import DataError, RunError
from core.files import replacing
from optimization.archive import Archive, ArchiveFiles, Change, entry_id, rounded_entry
from optimization.candidates_log import CandidateFormat, DoneCandidate
from optimization.identity import comparable
from optimization.members import read_member
from optimization.results_log import RecordPacker, load_results, read_maps
from optimization.run_files import RunFiles
from optimization.samplers.protocol import Fitness

VERSION = 1
ORDER = (
    "backtest", "bot", "coin_overrides", "live", "logging", "optimize", "results_dir", "results_filename",
    "suite_metrics", "metrics",
)  # fmt: skip
SECTIONS = ("backtest", "coin_overrides", "live", "logging", "optimize")

State = dict[str, Any]


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


class Recorder:
    """Writes a run's files; one a process, and one a run. Every write error is a RunError."""

    def __init__(self, files: RunFiles, settings: RecordSettings) -> None:
        self.files, self._settings = files, settings
        self.archive = Archive(settings.digits, settings.max_size)
        self._members = ArchiveFiles(files.pareto)
        self._constant = constant_sections(settings.config, files)
        self._packer = RecordPacker(self._constant, ORDER, compress=settings.compress)
        self._lengths = Lengths(digest=_first_digest(self._constant))
        # members of the last checkpoint, and of the snapshot that may become the next: their files stay until then
        self._kept: set[str] = set()
        self._held: set[str] = set()
        self._results: FileIO | None = None
        self._candidates: FileIO | None = None

    @property
    def records(self) -> int:
        return self._lengths.records

    @property
    def records_sha256(self) -> str:
        """What equal runs have in common: all records, without names of files, workers, logging and length."""
        return self._lengths.digest.hex()

    def open(self) -> None:
        """Open the logs for appending, and keep other processes out as long as they are open."""
        try:
            self._candidates = FileIO(self.files.candidates, "a")
            fcntl.flock(self._candidates, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._settings.write_all:
                self._results = FileIO(self.files.results, "a")
        except BlockingIOError as exc:
            raise RunError(f"another process is writing {self.files.directory}: wait for it, or stop it") from exc
        except OSError as exc:
            raise RunError(f"cannot write in {self.files.directory}: {exc.strerror or exc}") from exc

    def record(self, done: DoneCandidate, varying: Mapping[str, Any]) -> Change | None:
        """Append a candidate's record and offer it to the archive; what that changed, None if it was rejected.

        `varying` are the sections that differ from record to record: `bot`, `metrics`, in suites `suite_metrics`.
        """
        self._append(done, varying)
        if "error" in varying["metrics"]:
            return None
        found = self.archive.offer(done.fitness, lambda: self._entry(varying))
        if found is None:
            return None
        change, rounded = found
        unneeded = tuple(gone for gone in change.removed if gone not in self._kept and gone not in self._held)
        self._members.apply(Change(change.added, unneeded), rounded)
        return change

    def _append(self, done: DoneCandidate, varying: Mapping[str, Any]) -> None:
        lengths = self._lengths
        if self._results is not None:
            record = self._packer.pack(lengths.records, varying)
            _write(self._results, record, self.files.results)
            lengths.results += len(record)
        assert self._candidates is not None, "the logs are open"
        lengths.candidates += _write(self._candidates, self._settings.layout.pack(done), self.files.candidates)
        lengths.digest = chained(lengths.digest, varying)
        lengths.records += 1

    def _entry(self, varying: Mapping[str, Any]) -> dict[str, Any]:
        parts = {**self._constant, **varying}
        return {key: parts[key] for key in ORDER if key in parts}

    # --- checkpoints

    def snapshot(self, state: State) -> bytes:
        """A checkpoint of this moment, to be written now or later."""
        lengths = self._lengths
        self._members.flush()
        self._held = set(self.archive.ids)
        own = {
            "version": VERSION, "identity": self._settings.identity, "records": lengths.records,
            "results_bytes": lengths.results, "candidates_bytes": lengths.candidates, "digest": lengths.digest,
            "archive": list(self.archive.ids),
        }  # fmt: skip
        return bytes(msgpack.packb({**own, **state}))

    def write_checkpoint(self, snapshot: bytes) -> None:
        """Replace the checkpoint, after everything it counts on is on the disk; then tidy up `pareto/`."""
        try:
            for log in (self._results, self._candidates):
                if log is not None:
                    os.fsync(log.fileno())
        except OSError as exc:
            raise RunError(f"cannot write {self.files.directory}: {exc.strerror or exc}") from exc
        with replacing(self.files.checkpoint) as tmp:
            tmp.write_bytes(snapshot)
        self._kept = set(msgpack.unpackb(snapshot)["archive"])
        self._members.sweep([*self._kept, *self.archive.ids])

    def close(self) -> None:
        """Close the logs."""
        for log in (self._results, self._candidates):
            if log is not None:
                log.close()

    def finish(self) -> None:
        """At the end of a run `pareto/` holds the archive and nothing else."""
        self._members.flush()
        self._members.sweep(self.archive.ids)

    # --- resuming

    def restore(self, checkpoint: Mapping[str, Any]) -> Restored:
        """Bring the open logs to where the checkpoint was taken; the archive has to wait for lost records."""
        layout = self._settings.layout
        records = int(checkpoint["records"])
        done = list(layout.read(self.files.candidates, records))
        tail = self._tail(checkpoint)
        kept_bytes, kept = self._whole_records(checkpoint)
        if self._settings.write_all:
            _cut(self.files.results, kept_bytes)
        _cut(self.files.candidates, int(checkpoint["candidates_bytes"]))
        self._lengths = Lengths(records, kept_bytes, int(checkpoint["candidates_bytes"]), checkpoint["digest"])
        lost = range(kept, records) if self._settings.write_all else range(0)
        return Restored(done, tail, lost, list(checkpoint["archive"]))

    def _tail(self, checkpoint: Mapping[str, Any]) -> dict[str, State]:
        """`{identity: metrics}` of what was recorded after the checkpoint."""
        layout = self._settings.layout
        if not self._settings.write_all or self.files.results.stat().st_size < int(checkpoint["results_bytes"]):
            return {}
        with self.files.candidates.open("rb") as file:
            file.seek(int(checkpoint["candidates_bytes"]))
            rest = file.read()
        keys = [
            layout.unpack(rest[at : at + layout.size]).key for at in range(0, len(rest) - layout.size + 1, layout.size)
        ]
        maps = read_maps(self.files.results, int(checkpoint["results_bytes"]))
        return {
            key: {name: found[name] for name in ("suite_metrics", "metrics") if name in found}
            for key, found in zip(keys, _readable(maps), strict=False)
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

    def rewrite(self, varying: Mapping[str, Any], number: int) -> None:
        """Append a record that the results file had lost."""
        assert self._results is not None, "records are written"
        self._lengths.results += _write(self._results, self._packer.pack(number, varying), self.files.results)

    def restore_archive(self, ids: list[str]) -> None:
        """Read the members of the checkpoint; lost ones are made of their records. Raises DataError if that fails."""
        missing = [identity for identity in ids if not self._is_readable(identity)]
        if missing:
            self._rebuild(set(missing))
        for identity in ids:
            member = read_member(self.files.pareto / f"{identity}.json")
            self.archive.load(identity, Fitness(member.objectives, member.violation))
        self._kept = set(ids)
        self._members.sweep(ids)

    def _is_readable(self, identity: str) -> bool:
        try:
            read_member(self.files.pareto / f"{identity}.json")
        except (DataError, FileNotFoundError):
            return False
        return True

    def _rebuild(self, missing: set[str]) -> None:
        """Write lost members anew, from their records."""
        records = load_results(self.files.results) if self._settings.write_all else iter(())
        for entry in records:
            rounded = rounded_entry(self._entry(entry), self._settings.digits)
            identity = entry_id(rounded)
            if identity in missing:
                self._members.apply(Change(identity, ()), rounded)
                missing.discard(identity)
            if not missing:
                self._members.flush()
                return
        raise DataError(
            f"{self.files.pareto} has lost {len(missing)} members of the front, and {self.files.results.name} does not "
            f"have them; start a new run from what is left: --start {self.files.pareto}"
        )


@dataclass(frozen=True, slots=True)
class Restored:
    """What a resumed run is told: candidates that are done, in order; metrics recorded after the checkpoint by
    identity; numbers of records that have to be written again; ids of the archive."""

    done: list[DoneCandidate]
    tail: dict[str, State]
    lost_records: range
    archive: list[str]


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
