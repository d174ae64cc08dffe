"""Everything a run writes: its logs, the archive's files, checkpoints (6, 13.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from core.errors import DataError
from core.files import replacing
from optimization.archive import Archive, ArchiveFiles, Change, entry_id, rounded_entry
from optimization.candidates_log import DoneCandidate
from optimization.checkpoint import VERSION, State
from optimization.members import read_member
from optimization.results_log import load_results
from optimization.run_files import RunFiles
from optimization.run_logs import ORDER, RecordSettings, RestoredLogs, RunLogs
from optimization.samplers.protocol import Fitness


@dataclass(frozen=True, slots=True)
class Restored:
    """What a resumed run is told: the logs as they were, and the ids of the archive."""

    logs: RestoredLogs
    archive: list[str]


class Recorder:
    """Writes a run's files; one a process, and one a run. Every write error is a RunError."""

    def __init__(self, files: RunFiles, settings: RecordSettings) -> None:
        self.files, self._settings = files, settings
        self.archive = Archive(settings.digits, settings.max_size)
        self._logs = RunLogs(files, settings)
        self._members = ArchiveFiles(files.pareto)
        # members of the last checkpoint, and of the snapshot that may become the next: their files stay until then
        self._kept: set[str] = set()
        self._held: set[str] = set()

    @property
    def records(self) -> int:
        return self._logs.lengths.records

    @property
    def records_sha256(self) -> str:
        """What equal runs have in common: all records, without names of files, workers, logging and length."""
        return self._logs.lengths.digest.hex()

    def open(self) -> None:
        """Open the logs for appending."""
        self._logs.open()

    def close(self) -> None:
        """Close the logs."""
        self._logs.close()

    def record(self, done: DoneCandidate, varying: Mapping[str, Any]) -> Change | None:
        """Append a candidate's record and offer it to the archive; what that changed, None if it was rejected.

        `varying` are the sections that differ from record to record: `bot`, `metrics`, in suites `suite_metrics`.
        """
        self._logs.append(done, varying)
        if "error" in varying["metrics"]:
            return None
        found = self.archive.offer(done.fitness, lambda: self._entry(varying))
        if found is None:
            return None
        change, rounded = found
        unneeded = tuple(gone for gone in change.removed if gone not in self._kept and gone not in self._held)
        self._members.apply(Change(change.added, unneeded), rounded)
        return change

    def _entry(self, varying: Mapping[str, Any]) -> dict[str, Any]:
        parts = {**self._logs.constant, **varying}
        return {key: parts[key] for key in ORDER if key in parts}

    # --- checkpoints

    def snapshot(self, state: State) -> bytes:
        """A checkpoint of this moment, to be written now or later."""
        lengths = self._logs.lengths
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
        self._logs.sync()
        with replacing(self.files.checkpoint) as tmp:
            tmp.write_bytes(snapshot)
        self._kept = set(msgpack.unpackb(snapshot)["archive"])
        self._members.sweep([*self._kept, *self.archive.ids])

    def finish(self) -> None:
        """At the end of a run `pareto/` holds the archive and nothing else."""
        self._members.flush()
        self._members.sweep(self.archive.ids)

    # --- resuming

    def restore(self, checkpoint: Mapping[str, Any]) -> Restored:
        """Bring the open logs to where the checkpoint was taken; the archive has to wait for lost records."""
        return Restored(self._logs.restore(checkpoint), list(checkpoint["archive"]))

    def rewrite(self, varying: Mapping[str, Any], number: int) -> None:
        """Append a record that the results file had lost."""
        self._logs.rewrite(varying, number)

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
