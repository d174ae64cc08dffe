"""Known gaps (`candles.md` 8) and what is known of a symbol (8.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candles.disk.meta import SymbolMeta, read_meta, write_meta
from candles.gaps import (
    KnownGap,
    add_gap,
    clear_gaps,
    dump_gaps,
    gap_summary,
    merge_gaps,
    parse_gaps,
    without_rows,
)
from core.clock import DAY_MS
from core.clock import MINUTE_MS as M
from core.errors import DataError


def minutes(gaps: list[KnownGap]) -> list[tuple[int, int, int, str]]:
    return [(gap.start_ts // M, gap.end_ts // M, gap.retry_count, gap.reason) for gap in gaps]


def test_adding() -> None:
    """The worked example: gaps that overlap or touch grow and count, one minute between keeps them apart."""
    steps: list[tuple[int, int, Any, tuple[int, int, int, str]]] = [
        (0, 9, "fetch_failed", (0, 9, 1, "fetch_failed")),
        (5, 12, "auto_detected", (0, 12, 2, "fetch_failed")),
        (13, 14, "auto_detected", (0, 14, 3, "fetch_failed")),
        (13, 14, "auto_detected", (0, 14, 3, "fetch_failed")),
        (13, 14, "manual", (0, 14, 3, "manual")),
    ]
    gaps: list[KnownGap] = []
    for start, end, reason, expected in steps:
        gaps = add_gap(gaps, (start * M, end * M), reason, 7)
        assert minutes(gaps) == [expected]
    gaps = add_gap(gaps, (16 * M, 20 * M), "auto_detected", 8)
    assert minutes(gaps) == [(0, 14, 3, "manual"), (16, 20, 1, "auto_detected")]
    assert (gaps[1].added_at, gaps[1].last_attempt_at) == (8, 8)


def test_counting_options() -> None:
    """A given count is taken; without incrementing a new gap has none and an old one keeps its own."""
    new = add_gap([], (0, M), "auto_detected", 0, increment=False)
    assert new[0].retry_count == 0
    assert add_gap(new, (0, M), "auto_detected", 0, increment=False)[0].retry_count == 0
    assert add_gap(new, (0, M), "pre_inception", 0, retry_count=3)[0].persistent


def test_merging_and_json() -> None:
    """Saved gaps are sorted and joined; the old form of a pair reads as persistent."""
    gaps = [
        KnownGap(5 * M, 9 * M, 1, "manual", 3),
        KnownGap(0, 4 * M, 2, "fetch_failed", 5),
        KnownGap(11 * M, 11 * M, 0, "manual", 0),
    ]
    assert minutes(merge_gaps(gaps)) == [(0, 9, 2, "fetch_failed"), (11, 11, 0, "manual")]
    assert merge_gaps(gaps)[0].added_at == 3
    assert parse_gaps(dump_gaps(gaps)) == merge_gaps(gaps)
    assert minutes(parse_gaps([[0, M]])) == [(0, 1, 3, "auto_detected")]


def test_rows_inside_a_gap() -> None:
    """Arriving rows trim, split and remove gaps."""
    gap = KnownGap(0, 9 * M, 3, "fetch_failed", 0)
    assert minutes(without_rows([gap], np.array([0, 4 * M, 9 * M]))) == [
        (1, 3, 3, "fetch_failed"),
        (5, 8, 3, "fetch_failed"),
    ]
    assert without_rows([gap], np.arange(0, 10 * M, M)) == []
    assert without_rows([gap], np.array([20 * M])) == [gap]


@pytest.mark.parametrize(
    ("reason", "retries", "days", "blocks"),
    [
        ("fetch_failed", 3, 1, True),
        ("fetch_failed", 2, 1, False),
        ("fetch_failed", 3, 8, False),
        ("auto_detected", 3, 8, False),
        ("manual", 3, 800, True),
        ("pre_inception", 3, 800, True),
    ],
)
def test_what_blocks_fetching(reason: str, retries: int, days: int, blocks: bool) -> None:
    """Three failures block for seven days; what a person or the listing date says blocks for good."""
    assert KnownGap(0, M, retries, reason, 0, 0).blocks_fetching(days * DAY_MS) is blocks


def test_clearing_and_summary() -> None:
    """All gaps, or those that overlap a range; the summary counts minutes and reasons."""
    gaps = [KnownGap(0, 4 * M, 3, "manual", 0), KnownGap(10 * M, 10 * M, 1, "fetch_failed", 0)]
    assert clear_gaps(gaps, (4 * M, 9 * M)) == gaps[1:]
    assert clear_gaps(gaps, None) == []
    summary = gap_summary(gaps)
    assert (summary["total_gaps"], summary["total_minutes"], summary["persistent_gaps"]) == (2, 6, 1)
    assert summary["retryable_gaps"] == 1
    assert summary["by_reason"] == {"manual": 1, "fetch_failed": 1}


def test_rows_move_first_seen_and_inception() -> None:
    """Earlier rows lower both; a gap before the inception ends where the rows begin."""
    gap = KnownGap(0, 99 * M, 3, "pre_inception", 0)
    meta = SymbolMeta("x", "X", "1m", 200 * M, 100 * M, "rest", 0, 300 * M, (gap,)).with_rows(
        np.array([50 * M, 400 * M])
    )
    assert (meta.first_seen_ts, meta.inception_ts, meta.last_final_ts) == (50 * M, 50 * M, 400 * M)
    assert minutes(list(meta.known_gaps)) == [(0, 49, 3, "pre_inception")]
    assert SymbolMeta("x", "X", "1m").with_rows(np.array([M])).inception_ts is None


def test_meta_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is read back as written; an unreadable one counts as absent, a newer one is refused."""
    empty = SymbolMeta("x", "X", "1m")
    assert read_meta(tmp_path, empty) is None
    meta = SymbolMeta("x", "X", "1m", 5, 4, "import", 3, 9, (KnownGap(0, M, 3, "manual", 1, 2),))
    write_meta(tmp_path, meta)
    assert read_meta(tmp_path, empty) == meta
    for content in ("{", "[]", '{"version": 1, "nonsense": 2}', '{"no": 1}'):
        (tmp_path / "meta.json").write_text(content)
        assert read_meta(tmp_path, empty) is None
    assert caplog.text.count("meta.json is unreadable") == 4
    (tmp_path / "meta.json").write_text('{"version": 2}')
    with pytest.raises(DataError, match="newer version"):
        read_meta(tmp_path, empty)
