"""Which coins take part in a dataset, from which exchanges, since when (`candles.md` 15.1-15.4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from candles.fetching.history import note_inception
from candles.first_timestamps import LAST_RESORT, UNIFIED_EXCHANGES, ask_missing, first_anywhere, first_on_exchange
from core.clock import DAY_MS, MINUTE_MS, Clock
from core.dates import date_to_ts, ts_to_date
from core.errors import ConfigError, DataError, OfflineDataError
from core.tasks import together
from markets import sample
from markets.market import Market, import_hint, market_of
from markets.symbols import quote_currency, short_exchange
from simulation.feeds import Feed, Feeds, open_all
from simulation.request import DatasetRequest

logger = logging.getLogger(__name__)

BTC = "BTC"
BTC_FEED = "binance"  # of combined data


@dataclass(frozen=True, slots=True)
class Candidate:
    """A market that may serve a coin."""

    feed: Feed
    market: Market
    entry: Mapping[str, Any]

    @property
    def symbol(self) -> str:
        return self.market.symbol


@dataclass(frozen=True, slots=True)
class CoinPlan:
    """A coin that takes part: since when its candles count, and who may have them, by CCXT id.

    `compared` are its markets on exchanges that may not serve it (`coin_sources`), where volumes are compared with.
    """

    coin: str
    start_ts: int
    candidates: tuple[Candidate, ...]
    compared: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class BtcFeed:
    """Where the BTC/USD prices come from."""

    feed: Feed
    symbol: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The range in ms (both ends included), the coins that may take part, and why others do not."""

    requested_ts: int
    start_ts: int
    end_ts: int
    coins: tuple[CoinPlan, ...]
    left_out: Mapping[str, str]
    btc: BtcFeed
    notes: tuple[str, ...]
    can_fetch: bool


async def make_plan(request: DatasetRequest, feeds: Feeds, clock: Clock) -> Plan:
    """Raises DataError (OfflineDataError) where there is nothing to plan with."""
    requested, start, end, notes = _range(request, clock)
    opened, failed = await _open(request, feeds)
    notes += [f"{name} takes no part: {reason}" for name, reason in failed.items()]
    left_out: dict[str, str] = {}
    candidates: dict[str, tuple[Candidate, ...]] = {}
    for coin in request.all_coins:
        try:
            candidates[coin] = _candidates(request, coin, opened, failed)
        except DataError as exc:
            left_out[coin] = str(exc)
    firsts = await _first_candles(feeds, candidates)
    await _ask_others(request, feeds, candidates, firsts, start)
    planned = []
    for coin, found in candidates.items():
        try:
            begins = _coin_start(request, coin, found, firsts, (start, end), clock)
            planned.append(CoinPlan(coin, begins, found, _compared(coin, found, opened)))
        except DataError as exc:
            left_out[coin] = str(exc)
    return Plan(
        requested_ts=requested,
        start_ts=start,
        end_ts=end,
        coins=tuple(planned),
        left_out=left_out,
        btc=await _btc_feed(request, feeds, opened),
        notes=tuple(notes),
        can_fetch=any(feed.can_fetch for feed in opened),
    )


def _range(request: DatasetRequest, clock: Clock) -> tuple[int, int, int, list[str]]:
    requested, end = date_to_ts(request.start_date), date_to_ts(request.end_date)
    start = max(0, requested - request.warmup_minutes * MINUTE_MS) // MINUTE_MS * MINUTE_MS
    notes = []
    last = clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    if end > last:
        notes.append(f"end date {request.end_date} is not over yet: the data end at {ts_to_date(last)}")
        end = last
    if end <= requested:
        raise DataError(
            f"start date {request.start_date} is not before the end, {ts_to_date(end)}: there is nothing to run; "
            "choose an earlier backtest.start_date"
        )
    return requested, start, end // MINUTE_MS * MINUTE_MS, notes


async def _open(request: DatasetRequest, feeds: Feeds) -> tuple[list[Feed], dict[str, str]]:
    names = [*request.exchanges, *request.forced.values()]
    if sample.EXCHANGE in names and len(set(names)) > 1:
        raise DataError(
            f"sample cannot be mixed with real exchanges, but the run names {', '.join(sorted(set(names)))}"
        )
    opened, failed = await open_all(feeds, request.exchanges)
    for name in sorted(set(request.forced.values()) - set(request.exchanges)):
        try:
            opened.append(await feeds.open(name))
        except (DataError, ConfigError) as exc:
            failed[name] = str(exc)
    return opened, failed


def _candidates(
    request: DatasetRequest, coin: str, opened: Sequence[Feed], failed: Mapping[str, str]
) -> tuple[Candidate, ...]:
    """The markets of a coin on its candidate exchanges. Raises DataError if there is none."""
    forced = request.forced.get(coin)
    names = {forced} if forced else {short_exchange(name) for name in request.exchanges}
    if forced and forced in failed:
        raise DataError(f"coin_sources sends it to {forced}: {failed[forced]}")
    found, reasons = [], []
    for feed in opened:
        if feed.exchange in names:
            try:
                found.append(_candidate(coin, feed))
            except DataError as exc:
                reasons.append(str(exc))
    if not found:
        raise DataError("; ".join(reasons))
    return tuple(found)


def _candidate(coin: str, feed: Feed) -> Candidate:
    symbol = feed.symbol(coin)
    if symbol is None:
        raise DataError(f"{feed.exchange} has no market of it")
    entry = feed.markets[symbol]
    return Candidate(feed, market_of(entry, feed.exchange, coin), entry)


def _compared(coin: str, found: Sequence[Candidate], opened: Sequence[Feed]) -> tuple[Candidate, ...]:
    """The coin's usable markets on the other exchanges of the dataset."""
    others = []
    for feed in opened:
        if all(candidate.feed is not feed for candidate in found):
            with suppress(DataError):
                others.append(_candidate(coin, feed))
    return tuple(others)


Firsts = dict[tuple[str, str], int]
"""First candles by (exchange, coin); 0 where nobody knows."""


async def _first_candles(feeds: Feeds, candidates: Mapping[str, Sequence[Candidate]]) -> Firsts:
    """Since when each candidate has candles; noted in the store, so that nothing is asked for before that."""
    by_exchange: dict[str, dict[str, Candidate]] = {}
    for coin, found in candidates.items():
        for candidate in found:
            by_exchange.setdefault(candidate.feed.exchange, {})[coin] = candidate
    answers = await together(*(_firsts_of(feeds, coins) for coins in by_exchange.values()))
    return {
        (exchange, coin): ts
        for exchange, firsts in zip(by_exchange, answers, strict=True)
        for coin, ts in firsts.items()
    }


async def _firsts_of(feeds: Feeds, coins: Mapping[str, Candidate]) -> dict[str, int]:
    """First candles of one exchange's coins."""
    feed = next(iter(coins.values())).feed
    source = feed.manager.feed.source
    if source is not None and source.version:  # computed: nobody needs to be asked, nothing to be remembered
        return {coin: await source.first_ts(item.symbol) or 0 for coin, item in coins.items()}
    cache_dir = feeds.settings.cache_dir
    if source is None:
        known = first_on_exchange(cache_dir, feed.exchange)
        return {coin: int(known.get(coin) or feed.manager.stored_first_ts(c.symbol) or 0) for coin, c in coins.items()}

    async def ask(coin: str) -> int | None:
        return await source.first_ts(coins[coin].symbol)

    firsts = await ask_missing(cache_dir, feed.exchange, list(coins), ask)
    for coin, ts in firsts.items():
        if ts:
            note_inception(feed.manager.feed, coins[coin].symbol, ts, "rest")
    return firsts


async def _ask_others(
    request: DatasetRequest, feeds: Feeds, candidates: Mapping[str, Sequence[Candidate]], firsts: Firsts, start: int
) -> None:
    """A coin may be older elsewhere. Exchanges that are no candidates are only asked where that could matter."""
    age_ms = _age_ms(request)
    if age_ms <= 0 or feeds.network is None:
        return
    young = [
        coin
        for coin, found in candidates.items()
        if all(c.feed.online for c in found) and _anywhere(request, coin, found, firsts) + age_ms > start
    ]
    for name in (*UNIFIED_EXCHANGES, LAST_RESORT):
        cache = first_anywhere(request.cache_dir)
        wanted = [coin for coin in young if name != LAST_RESORT or not cache.get(coin)]
        if wanted and name not in {short_exchange(other) for other in request.exchanges}:
            await _ask_exchange(feeds, name, wanted)


async def _ask_exchange(feeds: Feeds, name: str, coins: Sequence[str]) -> None:
    """One exchange that is no candidate; that it cannot be reached is no reason to stop."""
    try:
        feed = await feeds.open(name)
    except (DataError, ConfigError) as exc:
        logger.warning("when coins began on %s stays unknown: %s", name, exc)
        return
    source = feed.manager.feed.source
    symbols = {coin: symbol for coin in coins if (symbol := feed.symbol(coin))}
    if source is not None and symbols:

        async def ask(coin: str) -> int | None:
            return await source.first_ts(symbols[coin])

        await ask_missing(feeds.settings.cache_dir, name, list(symbols), ask)


def _age_ms(request: DatasetRequest) -> int:
    return int(request.minimum_coin_age_days * DAY_MS)


def _anywhere(request: DatasetRequest, coin: str, found: Sequence[Candidate], firsts: Firsts) -> int:
    """The coin's first candle on any exchange; 0 where nobody knows, which counts as old."""
    here = [ts for c in found if (ts := firsts[c.feed.exchange, coin])]
    if any(c.feed.exchange == sample.EXCHANGE for c in found):
        return min(here, default=0)
    elsewhere = int(first_anywhere(request.cache_dir).get(coin) or 0)
    return min([*here, *([elsewhere] if elsewhere else [])], default=0)


def _coin_start(
    request: DatasetRequest,
    coin: str,
    found: Sequence[Candidate],
    firsts: Firsts,
    span: tuple[int, int],
    clock: Clock,
) -> int:
    """From when on a coin's candles count: not before it reaches the minimum age. Raises DataError if never."""
    start, end = span
    if not any(firsts[c.feed.exchange, coin] or c.feed.can_fetch for c in found):
        raise OfflineDataError("no candles on disk")
    age_ms = _age_ms(request)
    if age_ms <= 0:
        return start
    anywhere = _anywhere(request, coin, found, firsts)
    begins = max(start, (anywhere + age_ms) // MINUTE_MS * MINUTE_MS)
    if not request.combined:
        on_exchange = firsts[found[0].feed.exchange, coin]
        if on_exchange >= end:
            raise DataError(f"listed only on {ts_to_date(on_exchange)}")
        if int((clock.now_ms() - anywhere) / DAY_MS) < request.minimum_coin_age_days:
            raise DataError(f"younger than minimum_coin_age_days {request.minimum_coin_age_days:g}")
        return max(begins, on_exchange // MINUTE_MS * MINUTE_MS)
    if begins >= end:
        raise DataError(f"younger than minimum_coin_age_days {request.minimum_coin_age_days:g} until the end")
    return begins


async def _btc_feed(request: DatasetRequest, feeds: Feeds, opened: Sequence[Feed]) -> BtcFeed:
    """The same exchange, that of a single listed one, else binance; offline the first that has BTC (15.6)."""
    listed = [feed for feed in opened if feed.exchange in {short_exchange(name) for name in request.exchanges}]
    if len(listed) == 1:
        return _btc_of(listed[0])
    try:
        feed = await feeds.open(BTC_FEED)
        if feed.symbol(BTC) and (feed.can_fetch or feed.manager.stored_first_ts(_btc_of(feed).symbol) is not None):
            return _btc_of(feed)
    except (DataError, ConfigError):
        if feeds.network is not None:
            raise
    for feed in sorted(listed, key=lambda feed: feed.exchange):
        if feed.manager.stored_first_ts(_btc_of(feed).symbol) is not None:
            return _btc_of(feed)
    raise OfflineDataError(
        f"none of {request.exchange_names} has candles of BTC on disk, which the BTC/USD prices need: "
        f"{import_hint(listed[0].exchange)}, or import with --btc-flat PRICE if neither BTC collateral nor BTC metrics "
        "matter"
    )


def _btc_of(feed: Feed) -> BtcFeed:
    quote = quote_currency(feed.exchange)
    return BtcFeed(feed, feed.symbol(BTC) or f"{BTC}/{quote}:{quote}")
