"""`all_results.bin`: one MessagePack map an evaluation, appended (`optimizer_pareto_tools.md` 6.2).

A map is complete, or with compression the difference to the record before, in which `bot`, `metrics` and
`suite_metrics` always stand whole. The sections that are the same in every record are packed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack

from core.errors import DataError

WHOLE = ("bot", "metrics", "suite_metrics")
COMPLETE_EVERY = 100

Entry = dict[str, Any]


def diff(previous: Mapping[str, Any], current: Mapping[str, Any]) -> Entry:
    """What of `current` is new or other than in `previous`; keys that vanished are not represented."""
    changes: Entry = {}
    for key, value in current.items():
        if key not in previous:
            changes[key] = value
        elif isinstance(value, dict) and isinstance(previous[key], dict):
            if below := diff(previous[key], value):
                changes[key] = below
        elif previous[key] != value:
            changes[key] = value
    return changes


def overlay(state: Mapping[str, Any], changes: Mapping[str, Any]) -> Entry:
    """`state` with `changes` laid over it; neither is modified."""
    result = dict(state)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = overlay(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return result


def load_results(path: Path | str) -> Iterator[Entry]:
    """The complete records of a results file in order, compressed or not, also of older files.

    A record that was cut off at the end of the file is left out. Raises DataError for a file that is no such log.
    """
    state: Entry = {}
    for changes in read_maps(Path(path)):
        # in what stands whole, a metric that is absent now must not shine through from the record before
        kept = {k: v for k, v in state.items() if k not in WHOLE} if _is_whole(changes, state) else state
        state = overlay(kept, changes)
        yield state


def _is_whole(changes: Entry, state: Entry) -> bool:
    """Do `bot` and metrics stand whole? In older files they are differences, which lack what has not changed."""
    bot, metrics = changes.get("bot", {}), changes.get("metrics", {})
    before, known = state.get("bot", {}), state.get("metrics", {})
    sides = all(pside in bot and bot[pside].keys() >= before[pside].keys() for pside in before)
    return sides and metrics.keys() >= known.keys() & {"objectives", "constraint_violation"}


def read_maps(path: Path, start: int = 0) -> Iterator[Entry]:
    """The maps of the file as they were written, from a byte on; a cut one at the end is left out."""
    with path.open("rb") as file:
        file.seek(start)
        unpacker = msgpack.Unpacker(file, raw=False, strict_map_key=False)
        while True:
            try:
                found = unpacker.unpack()
            except msgpack.OutOfData:
                return
            except (ValueError, msgpack.exceptions.UnpackException) as exc:
                raise DataError(f"{path} is damaged after byte {unpacker.tell()}: {exc}; remove what follows") from exc
            if not isinstance(found, dict):
                raise DataError(
                    f"{path} holds a {type(found).__name__} where a record should be; is it a results file?"
                )
            yield found


class RecordPacker:
    """Entries as bytes. `constant` are the sections that every record of the run has, in order, and the order of all.

    `order` names the top-level keys of an entry; those that are not in `constant` are given with each record.
    """

    def __init__(self, constant: Mapping[str, Any], order: tuple[str, ...], *, compress: bool) -> None:
        self._constant = {key: msgpack.packb(key) + msgpack.packb(value) for key, value in constant.items()}
        self._order, self._compress = order, compress

    def pack(self, number: int, varying: Mapping[str, Any]) -> bytes:
        """The record of that number; `varying` stands whole in it, the rest is left out where it is compressed."""
        complete = not self._compress or number % COMPLETE_EVERY == 0
        parts = [
            self._constant[key] if key in self._constant else msgpack.packb(key) + msgpack.packb(varying[key])
            for key in self._order
            if key in varying or (complete and key in self._constant)
        ]
        return map_header(len(parts)) + b"".join(parts)


def map_header(size: int) -> bytes:
    """The start of a MessagePack map."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(size)
    return bytes(packer.bytes())
