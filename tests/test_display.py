"""What a user sees of downloads (`runs.display`)."""

from __future__ import annotations

from typing import Any

from runs.display import FetchDisplay

SHOWN = list[tuple[str, int, int]]


def shown_of(*events: dict[str, Any]) -> tuple[FetchDisplay, SHOWN]:
    """A display after the first of three coins, and what events about ETH on bybit showed in its bar."""
    shown: SHOWN = []
    display = FetchDisplay()
    display.show_in(lambda *args: shown.append(args))  # type: ignore[arg-type]
    display.step("BTC on disk", 1, 3)
    for event in events:
        display.on_event({"kind": "ccxt_fetch_ohlcv", "symbol": "ETH", "exchange": "bybit", **event})
    return display, shown[1:]


def test_days_and_failures_are_shown() -> None:
    """How far a market has got, and why an exchange keeps us waiting, beside the coins that are done."""
    _, shown = shown_of(
        {"stage": "start"},
        {"stage": "error", "error": "ExchangeNotAvailable: 503 " + "x" * 200},
        {"stage": "progress", "done": 2, "total": 31},
    )
    assert shown == [
        ("ETH bybit did not answer: ExchangeNotAvailable: 503 " + "x" * 54, 1, 3),
        ("ETH bybit 2/31 days", 1, 3),
    ]


def test_answers_are_counted() -> None:
    """Each answered request once, archives as a whole not at all; before there is a bar, too."""
    display, _ = shown_of({"stage": "start"}, {"stage": "ok"}, {"stage": "error"}, {"stage": "start"})
    display.on_event({"kind": "archive_prefetch", "stage": "done", "symbol": "ETH", "exchange": "bybit"})
    assert dict(display.requests) == {("bybit", "ETH", "ccxt_fetch_ohlcv"): 2}
    early = FetchDisplay()
    early.on_event({"kind": "ccxt_fetch_ohlcv", "stage": "error", "symbol": "ETH", "exchange": "bybit", "error": "no"})
    assert early.requests.total() == 1
