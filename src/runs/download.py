"""Filling the candle cache for a config: everything its backtest would read, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candles.fill import missing_spans
from config.settings import backtest_settings
from core.clock import SystemClock
from core.dates import ts_to_date
from core.errors import DataError
from core.paths import DEFAULT_CACHE_DIR
from core.progress import Progress
from runs.data import Config, exchanges_of, log_interval_s, with_final_coins
from runs.display import FetchDisplay
from simulation.assembly import fetch
from simulation.dataset import run_to_end
from simulation.feeds import Feed
from simulation.plan import Plan, make_plan
from simulation.request import check_exchanges, dataset_requests


@dataclass(frozen=True, slots=True)
class MarketReport:
    """One market after the download: rows on disk of those that the range has since the coin began, what is missing."""

    coin: str
    exchange: str
    symbol: str
    rows_before: int
    rows: int
    first_ts: int | None
    last_ts: int | None
    missing: tuple[tuple[int, int], ...]
    from_archive: int
    from_rest: int
    error: str | None = None

    @property
    def missing_minutes(self) -> int:
        return sum((last - first) // 60_000 + 1 for first, last in self.missing)


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """All markets, and the coins that take no part with the reason."""

    markets: tuple[MarketReport, ...]
    left_out: Mapping[str, str]

    @property
    def failed(self) -> bool:
        return any(market.error for market in self.markets)

    @property
    def requests(self) -> int:
        return sum(market.from_archive + market.from_rest for market in self.markets)


def download(config: Config, options: Mapping[str, Any]) -> DownloadReport:
    """Fetch what the cache lacks. Raises DataError if nothing can be planned, ConfigError."""
    return run_to_end(_download(config, options))


async def _download(config: Config, options: Mapping[str, Any]) -> DownloadReport:
    clock, display = SystemClock(), FetchDisplay()
    cache_dir = Path(options.get("cache_dir", DEFAULT_CACHE_DIR))
    reports: dict[tuple[str, str], MarketReport] = {}
    left_out: dict[str, str] = {}
    check_exchanges(tuple(config["backtest"]["exchanges"]))
    async with exchanges_of(config, options, cache_dir, clock, display) as feeds:
        final = await with_final_coins(config, feeds, clock)
        for request in dataset_requests(backtest_settings(final), options, cache_dir):
            plan = await make_plan(request, feeds, clock)
            left_out |= plan.left_out
            before = {(feed.exchange, symbol): _count(feed, symbol, plan) for _, feed, symbol in _markets(plan)}
            with Progress(f"candles of {request.name}", log_interval_s(config)) as bar:
                display.show_in(bar)
                failures = await fetch(request, plan, display.step)
            for coin, feed, symbol in _markets(plan):
                key = (feed.exchange, symbol)
                reports[key] = _report(
                    (coin, feed, symbol), plan, before[key], display, failures.get((coin, feed.exchange))
                )
    if options.get("fail_on_missing_coins") and left_out:
        text = "; ".join(f"{coin}: {reason}" for coin, reason in left_out.items())
        raise DataError(f"coins without data (--fail-on-missing-coins): {text}")
    return DownloadReport(tuple(reports.values()), left_out)


def _markets(plan: Plan) -> Iterator[tuple[str, Feed, str]]:
    """(coin, feed, symbol) of every market in the plan, that of the BTC prices last unless it is traded anyway."""
    seen = set()
    for item in plan.coins:
        for candidate in item.candidates:
            seen.add((candidate.feed.exchange, candidate.symbol))
            yield item.coin, candidate.feed, candidate.symbol
    if (plan.btc.feed.exchange, plan.btc.symbol) not in seen:
        yield "BTC", plan.btc.feed, plan.btc.symbol


def _count(feed: Feed, symbol: str, plan: Plan) -> int:
    return len(feed.manager.store.read_columns(symbol, (), plan.start_ts, plan.end_ts)["ts"])


def _report(
    market: tuple[str, Feed, str], plan: Plan, rows_before: int, display: FetchDisplay, error: str | None
) -> MarketReport:
    coin, feed, symbol = market
    ts = feed.manager.store.read_columns(symbol, (), plan.start_ts, plan.end_ts)["ts"]
    begins = max(plan.start_ts, feed.manager.stored_first_ts(symbol) or plan.start_ts)
    counts = {
        kind: n for (exchange, of, kind), n in display.requests.items() if (exchange, of) == (feed.exchange, symbol)
    }
    return MarketReport(
        coin=coin,
        exchange=feed.exchange,
        symbol=symbol,
        rows_before=rows_before,
        rows=len(ts),
        first_ts=int(ts[0]) if len(ts) else None,
        last_ts=int(ts[-1]) if len(ts) else None,
        missing=tuple(missing_spans(ts, begins, plan.end_ts)),
        from_archive=counts.get("archive_http_get", 0),
        from_rest=sum(n for kind, n in counts.items() if kind != "archive_http_get"),
        error=error,
    )


def span_text(span: tuple[int, int]) -> str:
    """`2024-01-01T00:00 to 2024-01-01T02:00`, or one moment."""
    first, last = (ts_to_date(ts)[:16] for ts in span)
    return first if first == last else f"{first} to {last}"
