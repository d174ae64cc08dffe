"""Fill events: records, positions, coalescing, gaps, log lines (`live.md` 17.1-17.3, 22)."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from core.errors import DataError
from live.fills.coalesce import coalesce
from live.fills.gaps import FillGap, add_gap, clear_range, dump_gaps, parse_gaps
from live.fills.positions import with_positions
from live.fills.record import FillEvent, dump_fill, parse_fill, parse_fills
from live.fills.report import fill_line, log_new_fills, summary_line

T = 1_700_000_000_123
SYMBOL = "BTC/USDT:USDT"


def item(**changes: Any) -> dict[str, Any]:
    return {
        "id": "1", "timestamp": T, "symbol": SYMBOL, "side": "buy", "position_side": "long", "qty": 1.0,
        "price": 100.0, "pnl": 0.0, "pb_order_type": "entry_grid_normal_long", "client_order_id": "0x0004",
    } | changes  # fmt: skip


def fill(**changes: Any) -> FillEvent:
    return parse_fill(item(**changes))


FIELDS = [
    "id", "timestamp", "datetime", "symbol", "side", "position_side", "qty", "price", "pnl", "fees", "pb_order_type",
    "client_order_id", "psize", "pprice", "raw",
]  # fmt: skip


def test_record() -> None:
    """Fields in the order of 17.1; what may be absent is derived; the sign of the quantity follows the side."""
    event = fill(side="SELL ", qty=2, id=77)
    assert list(dump_fill(event)) == FIELDS
    assert (event.id, event.side, event.qty, event.closes) == ("77", "sell", -2.0, True)
    assert event.datetime == "2023-11-14T22:13:20.123000"
    assert (event.day, event.fees, event.psize, event.pprice, event.raw) == ("2023-11-14", None, 0.0, 0.0, [])
    assert parse_fill(dump_fill(event)) == event


def test_raw_payloads() -> None:
    """Payloads are a list; an old mapping is marked; one that JSON cannot hold does not keep the day from the disk."""
    assert fill(raw={"a": 1}).raw == [{"source": "legacy", "data": {"a": 1}}]
    assert fill(raw=[{"source": "x", "data": 1}]).raw == [{"source": "x", "data": 1}]
    assert fill(raw=[{"source": "x", "data": float("nan")}]).raw[0]["source"] == "text"


REQUIRED = [name for name in FIELDS if name not in ("datetime", "fees", "psize", "pprice", "raw")]
WRONG = [
    *({"drop": name} for name in REQUIRED),
    *({name: None} for name in REQUIRED),
    {"id": ""}, {"side": "hold"}, {"position_side": "both"}, {"qty": "x"}, {"price": float("nan")}, {"pnl": 1e400},
    {"timestamp": -1}, {"timestamp": 10**16}, {"fees": "0.1"}, {"symbol": ["BTC"]}, {"qty": True},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_records_that_are_skipped(change: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A record without a required field or with a wrong one is skipped with a line that names it; others stay."""
    broken = item(**change)
    broken.pop(broken.pop("drop", ""), None)
    with caplog.at_level(logging.WARNING):
        assert [event.id for event in parse_fills([broken, "junk", item(id="good")], "here")] == ["good"]
    (name,) = change.values() if "drop" in change else change
    assert re.search(rf"\[fills\] here: fill .*: {name} is ", caplog.text)
    with pytest.raises(DataError):
        parse_fill(broken)


def positions(events: list[FillEvent], c_mult: float = 1.0) -> list[tuple[float, float]]:
    return [(event.psize, event.pprice) for event in with_positions(events, lambda symbol: c_mult)]


def test_positions() -> None:
    """The checked examples of 17.3: long, short with more closed than held, contract size, sides apart."""
    long = [fill(qty=2), fill(price=94), *[fill(side="sell", qty=1.5)] * 2]
    assert positions(long) == [(2.0, 100.0), (3.0, 98.0), (1.5, 98.0), (0.0, 0.0)]
    short = [fill(side=side, position_side="short", qty=qty, price=50) for side, qty in
             (("sell", 3), ("buy", 1), ("buy", 5))]  # fmt: skip
    assert positions(short) == [(3.0, 50.0), (2.0, 50.0), (0.0, 0.0)]
    apart = positions([long[0], short[0], long[1]], c_mult=0.1)
    assert [size for size, _ in apart] == [0.2, 0.3, 0.3]
    assert [price for _, price in apart] == pytest.approx([100.0, 50.0, 98.0])
    dust = [fill(qty=0.3), fill(side="sell", qty=0.1), fill(side="sell", qty=0.2 - 1e-13)]
    assert positions(dust)[-1] == (0.0, 0.0)


def test_coalescing() -> None:
    """1@100 + 3@104 are 4@103.0 with id `a+b`; pnl and fees per currency are summed; other keys stay apart."""
    parts = [
        fill(id="b", qty=3, price=104, pnl=2.0, fees={"currency": "USDT", "cost": 0.3}, raw=[{"source": "x"}]),
        fill(id="a", pnl=1.0, fees=[{"currency": "USDT", "cost": 0.1}, {"currency": "BNB", "cost": 1.0}]),
    ]
    (event,) = coalesce(parts)
    assert (event.id, event.qty, event.price, event.pnl) == ("a+b", 4.0, 103.0, 3.0)
    assert event.fees == [{"currency": "USDT", "cost": 0.4}, {"currency": "BNB", "cost": 1.0}]
    assert event.raw == [{"source": "x"}]
    assert event.parts == [(SYMBOL, "a"), (SYMBOL, "b")]
    (single,) = coalesce([fill(id="a", fees={"currency": "USDT", "cost": 1}), fill(id="b")])
    assert single.fees == {"currency": "USDT", "cost": 1.0}
    apart = [
        {"timestamp": T + 1},
        {"symbol": "X"},
        {"pb_order_type": "x"},
        {"side": "sell"},
        {"position_side": "short"},
    ]
    others = [fill(id=str(i), **change) for i, change in enumerate(apart, 2)]
    assert len(coalesce([fill(), *others])) == 1 + len(others)


def gap(start: int, end: int, retries: int = 0, confidence: float = 0.0) -> FillGap:
    return FillGap(start, end, retries, "no_fills", 5, confidence)


def test_adding_gaps() -> None:
    """Overlapping gaps become one and count another try; at three they are sure and no longer retried."""
    gaps = add_gap((), (10, 20), "no_fills", 5)
    assert gaps == (gap(10, 20),)
    for _ in range(2):
        gaps = add_gap(gaps, (15, 30), "no_fills", 9)
    assert gaps == (gap(10, 30, 2),)
    assert not gaps[0].settled
    gaps = add_gap(gaps, (12, 13), "no_fills", 9)
    assert gaps == (gap(10, 30, 3, 0.7),)
    assert gaps[0].settled
    assert add_gap(gaps, (1, 2), "no_fills", 5) == (gap(1, 2), gap(10, 30, 3, 0.7))
    assert add_gap((gap(0, 5), gap(8, 9, 1, 0.9)), (4, 9), "no_fills", 6) == (gap(0, 9, 2, 0.9),)
    assert parse_gaps(dump_gaps(gaps)) == gaps


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 40), []), ((10, 20), []), ((0, 15), [(15, 20)]), ((15, 40), [(10, 15)]), ((12, 13), [(10, 12), (13, 20)]),
        ((21, 30), [(10, 20)]),
    ],
)  # fmt: skip
def test_clearing_gaps(span: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    """Gaps inside a cleared range go, others are trimmed."""
    assert [(g.start_ts, g.end_ts) for g in clear_range((gap(10, 20),), *span)] == expected


CLOSE = {"side": "sell", "qty": 0.01, "price": 64_000.5, "pnl": 5.5, "pb_order_type": "close_grid_long"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (CLOSE, "[fill] BTC long close_grid_long -0.01 @ 64000.5, pnl=+5.5 USDT id=1"),
        (CLOSE | {"pnl": -0.25}, "[fill] BTC long close_grid_long -0.01 @ 64000.5, pnl=-0.25 USDT id=1"),
        (CLOSE | {"pnl": 0}, "[fill] BTC long close_grid_long -0.01 @ 64000.5, pnl=+0 USDT id=1"),
        ({}, "[fill] BTC long entry_grid_normal_long +1 @ 100 id=1"),
        ({"pnl": -1e-5}, "[fill] BTC long entry_grid_normal_long +1 @ 100, pnl=-0.00001 USDT id=1"),
        (
            {"pb_order_type": "", "client_order_id": "web_1", "id": "1234567890abcdef"},
            "[fill] BTC long unknown +1 @ 100 (coid=web_1) id=1234567890ab",
        ),
    ],
)
def test_fill_lines(changes: dict[str, Any], expected: str) -> None:
    """The form of `live.md` 22: pnl of closes or where there is one, the client id of unknown types."""
    assert fill_line(fill(**changes), "BTC", "USDT") == expected


def test_many_fills_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Up to 20 new fills are a line each, more are a summary in the exact words."""
    many = [fill(id=str(i), pnl=-0.05) for i in range(25)]
    assert summary_line(many, "USDT") == "[fill] 25 fills, pnl=-1.25 USDT"
    with caplog.at_level(logging.INFO):
        log_new_fills(many, lambda symbol: "BTC", "USDT")
        log_new_fills(many[:20], lambda symbol: "BTC", "USDT")
    assert len(caplog.messages) == 21
    assert caplog.messages[0] == "[fill] 25 fills, pnl=-1.25 USDT"
