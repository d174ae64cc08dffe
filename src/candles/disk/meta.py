"""What is known of a symbol's candles beside the candles: gaps, inception, refresh times (`candles.md` 8.3, 17.6)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from candles.gaps import KnownGap, dump_gaps, merge_gaps, parse_gaps, without_rows
from core.clock import MINUTE_MS
from core.errors import DataError
from core.files import read_json, write_json
from markets.candle import timeframe_ms

logger = logging.getLogger(__name__)

META_NAME = "meta.json"
VERSION = 1
REFRESH_NOTED_EVERY_MS = MINUTE_MS


@dataclass(frozen=True, slots=True)
class SymbolMeta:
    """`first_seen_ts` is the earliest stored row, `inception_ts` the first candle there ever was, if known."""

    exchange: str
    symbol: str
    timeframe: str
    first_seen_ts: int | None = None
    inception_ts: int | None = None
    inception_source: str | None = None
    last_refresh_ms: int = 0
    last_final_ts: int | None = None
    known_gaps: tuple[KnownGap, ...] = ()

    def with_rows(self, ts: npt.NDArray[np.int64]) -> SymbolMeta:
        """After rows at ascending `ts` were stored: gaps shrink, first and last move outwards, so does inception."""
        first, last = int(ts[0]), int(ts[-1])
        moved = replace(
            self,
            first_seen_ts=first if self.first_seen_ts is None else min(self.first_seen_ts, first),
            last_final_ts=last if self.last_final_ts is None else max(self.last_final_ts, last),
            known_gaps=tuple(without_rows(self.known_gaps, ts, timeframe_ms(self.timeframe))),
        )
        if self.inception_ts is None or self.inception_ts <= first:
            return moved
        return moved.with_inception(first, self.inception_source)

    def with_inception(self, inception_ts: int, source: str | None) -> SymbolMeta:
        """Nothing existed before `inception_ts`: `pre_inception` gaps end there."""
        last = inception_ts - MINUTE_MS
        gaps = [
            replace(gap, end_ts=min(gap.end_ts, last)) if gap.reason == "pre_inception" else gap
            for gap in self.known_gaps
            if gap.reason != "pre_inception" or gap.start_ts <= last
        ]
        return replace(self, inception_ts=inception_ts, inception_source=source, known_gaps=tuple(gaps))

    def with_refresh(self, refreshed_ms: int, *, together: bool = False) -> SymbolMeta:
        """Unchanged if the noted refresh is not a minute older, unless it is written `together` with something else."""
        if refreshed_ms - self.last_refresh_ms < (1 if together else REFRESH_NOTED_EVERY_MS):
            return self
        return replace(self, last_refresh_ms=refreshed_ms)

    def with_gaps(self, gaps: Sequence[KnownGap]) -> SymbolMeta:
        return replace(self, known_gaps=tuple(merge_gaps(gaps)))


def read_meta(directory: Path, empty: SymbolMeta) -> SymbolMeta | None:
    """The meta file of a symbol's directory, None if there is none or it is unreadable (which is logged)."""
    path = directory / META_NAME
    try:
        content = read_json(path)
        version = content.pop("version")
        if isinstance(version, int) and version > VERSION:
            raise DataError(f"{path} was written by a newer version ({version}); update this program")
        gaps = parse_gaps(content.pop("known_gaps", ()))
        return replace(empty, **{**content, "known_gaps": tuple(gaps)})
    except FileNotFoundError:
        return None
    except (DataError, TypeError, ValueError, KeyError, AttributeError) as exc:
        if "newer version" in str(exc):
            raise
        logger.error("%s is unreadable, it is made anew from the candles, known gaps are lost: %s", path, exc)
        return None


def write_meta(directory: Path, meta: SymbolMeta) -> None:
    """Replace the meta file; the caller holds the symbol's lock."""
    content = {"version": VERSION, **asdict(meta), "known_gaps": dump_gaps(meta.known_gaps)}
    write_json(directory / META_NAME, content, indent=1)
