"""Coins by market capitalisation, from CoinGecko's list: the rules, fetching the pages, writing the lists.

`candles.md` 21.2. Amounts of money are US dollars.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from core.clock import Clock
from core.dates import ts_to_date
from core.errors import DataError
from core.files import write_json
from exchanges.endpoints import COINGECKO_URL, Endpoints
from exchanges.network import ExchangeNetwork
from markets.symbols import name_variants, quote_currency, short_exchange

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]  # as CoinGecko delivers it

MARKETS_URL = f"{COINGECKO_URL}api/v3/coins/markets"
PAGE_ROWS = 150
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
TIMEOUT = aiohttp.ClientTimeout(total=60)
STABLECOINS = frozenset({"tether", "usdb", "usdy", "tusd", "usd0", "usde"})
NEAR_ONE = 0.01

# Why the list ends
ENOUGH, TOO_SMALL, AT_END, REPEATED, FAILED = (
    "enough coins", "market cap below the limit", "end of the list", "the same page twice", "an error",
)  # fmt: skip
# Why a coin is left out
INCOMPLETE, STABLE, NOT_LISTED, TAKEN = (
    "no market cap or volume known", "stablecoin", "not traded on the exchanges", "symbol of a larger coin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """The most coins, the least market cap in dollars, and where they must be traded (anywhere if empty)."""

    n_coins: int = 100
    least_usd: float = 300e6
    exchanges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen coins with their rows, the largest first; symbols left out by reason; why it ended, if it did."""

    rows: Mapping[str, Row]
    left_out: Mapping[str, Sequence[str]]
    ended: str = ""
    error: str = ""

    @property
    def coins(self) -> list[str]:
        return list(self.rows)


# --- rules


def choose(rows: Iterable[Row], wanted: Wanted, listed: Collection[str] | None = None) -> Selection:
    """Go through rows that descend by market cap. `listed`: coins in upper case that are traded; None: all are."""
    chosen: dict[str, Row] = {}
    left_out: dict[str, list[str]] = {}
    for row in rows:
        if ended := end_of_list(row, len(chosen), wanted):
            return Selection(chosen, left_out, ended)
        coin = coin_of(row)
        if reason := reason_against(row, chosen, listed):
            left_out.setdefault(reason, []).append(coin)
        else:
            chosen[coin] = with_ratios(row)
    return Selection(chosen, left_out, ENOUGH if len(chosen) >= wanted.n_coins else "")


def end_of_list(row: Row, n_chosen: int, wanted: Wanted) -> str:
    """Why neither this row nor a later one is wanted; empty if that is not so."""
    if n_chosen >= wanted.n_coins:
        return ENOUGH
    market_cap = row.get("market_cap")
    return TOO_SMALL if market_cap is not None and market_cap < wanted.least_usd else ""


def reason_against(row: Row, chosen: Collection[str], listed: Collection[str] | None) -> str:
    """Why a row is left out; empty if it is not."""
    if not row.get("market_cap") or row.get("total_volume") is None:
        return INCOMPLETE
    if is_stablecoin(row):
        return STABLE
    if listed is not None and coin_of(row) not in listed:
        return NOT_LISTED
    return TAKEN if coin_of(row) in chosen else ""


def is_stablecoin(row: Row) -> bool:
    """By its name, or because it has cost a dollar all day."""
    if str(row.get("symbol", "")).lower() in STABLECOINS:
        return True
    prices = [row.get(name) for name in ("high_24h", "low_24h", "current_price")]
    change = row.get("price_change_24h")
    near = all(price is not None and abs(price - 1.0) <= NEAR_ONE for price in prices)
    return near and change is not None and abs(change) < NEAR_ONE


def coin_of(row: Row) -> str:
    return str(row.get("symbol", "")).upper()


def with_ratios(row: Row) -> Row:
    """The row and three figures derived from it: how much of the supply circulates, the cap times that, turnover."""
    circulating = row.get("circulating_supply") or 0.0
    supply_ratio = circulating / (row.get("total_supply") or row.get("max_supply") or 1.0)
    return {
        **row,
        "supply_ratio": supply_ratio,
        "penalized_mcap": circulating * (row.get("current_price") or 0.0) * supply_ratio,
        "liquidity_ratio": row["total_volume"] / row["market_cap"],
    }


def traded_coins(markets: Mapping[str, Row], quote: str) -> set[str]:
    """Coins, in upper case and by all names they go by, with an active swap quoted in `quote`."""
    swaps = [m for s, m in markets.items() if m.get("swap") and m.get("active") and s.endswith(f"/{quote}:{quote}")]
    names = {str(market[key]) for market in swaps for key in ("base", "baseName") if market.get(key)}
    return {variant.upper() for name in names for variant in name_variants(name)}


# --- fetching


class _RetryableError(DataError):
    """CoinGecko could not answer now. `after_s` is how long it wants to be left alone."""

    def __init__(self, text: str, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.after_s = after_s


@dataclass
class CoinList:
    """CoinGecko's list of coins by market cap; an async context manager."""

    endpoints: Endpoints
    clock: Clock
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    async def __aenter__(self) -> CoinList:
        self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def page(self, number: int) -> list[Row]:
        """A page, counted from 1; empty behind the last one. Raises DataError when it cannot be had."""
        retrying = AsyncRetrying(
            sleep=self.clock.sleep,
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait_s,
            retry=retry_if_exception_type(_RetryableError),
            reraise=True,
        )
        return await retrying(self._ask, number)

    async def _ask(self, number: int) -> list[Row]:
        assert self._session is not None
        url = self.endpoints.coingecko_url(MARKETS_URL)
        params = {"vs_currency": "usd", "order": "market_cap_desc", "sparkline": "false"}
        started = self.clock.now_ms()
        try:
            async with self._session.get(
                url, params=params | {"per_page": str(PAGE_ROWS), "page": str(number)}
            ) as response:
                status, content = response.status, await response.read()
                _check_status(url, status, response.headers.get("Retry-After"))
                rows = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _RetryableError(f"{url} did not answer: {str(exc) or type(exc).__name__}; try again later") from exc
        except ValueError as exc:
            raise DataError(f"{url} answered something that is no JSON: {content[:60]!r}") from exc
        logger.debug("remote_call endpoint=%s page=%d ms=%d", url, number, self.clock.now_ms() - started)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{url} answered no list of coins: {str(rows)[:60]!r}")
        return rows


def _check_status(url: str, status: int, retry_after: str | None) -> None:
    if status == 200:
        return
    text = f"{url} answered with HTTP status {status}"
    if status == 429 or status >= 500:
        after_s = float(retry_after) if retry_after and retry_after.strip().isdigit() else 0.0
        raise _RetryableError(f"{text}, {ATTEMPTS} times asked; try again later", after_s)
    raise DataError(text)


def _wait_s(state: RetryCallState) -> float:
    """At least as long as CoinGecko wants it, but nobody waits for hours."""
    error = state.outcome.exception() if state.outcome else None
    wanted = error.after_s if isinstance(error, _RetryableError) else 0.0
    wait = min(max(FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1), wanted), LONGEST_WAIT_S)
    logger.info("coingecko_retry wait_s=%g reason=%s", wait, error)
    return wait


async def select(
    wanted: Wanted, page: Callable[[int], Any], listed: Collection[str] | None, tell: Callable[[int], None]
) -> Selection:
    """Ask for pages until the rules end the list, or the list itself. An error after the first page ends it as well."""
    rows: list[Row] = []
    previous: list[Row] = []
    number = 1
    while True:
        tell(number)
        try:
            current = await page(number)
        except DataError as exc:
            if number == 1:
                raise
            return _ended(choose(rows, wanted, listed), FAILED, str(exc))
        if not current or current == previous:
            return _ended(choose(rows, wanted, listed), REPEATED if current else AT_END)
        rows += current
        selection = choose(rows, wanted, listed)
        if selection.ended:
            return selection
        previous, number = current, number + 1


def _ended(selection: Selection, why: str, error: str = "") -> Selection:
    return Selection(selection.rows, selection.left_out, why, error)


async def exchange_filter(wanted: Wanted, network: ExchangeNetwork) -> set[str] | None:
    """Coins that one of the wanted exchanges trades; None if none is named.

    Raises CandleFetchError, ConfigError or DataError for an exchange whose swaps cannot be known.
    """
    if not wanted.exchanges:
        return None
    coins: set[str] = set()
    for exchange in wanted.exchanges:
        quote = quote_currency(exchange)
        traded = traded_coins(await network.markets(exchange), quote)
        if not traded:
            raise DataError(f"{exchange} lists no active swap in {quote}: it cannot be used as a filter")
        logger.info("exchange_filter exchange=%s coins=%d", exchange, len(traded))
        coins |= traded
    return coins


def run(
    wanted: Wanted, endpoints: Endpoints, cache_dir: Path, clock: Clock, tell: Callable[[int], None] = lambda page: None
) -> Selection:
    """The coins that are wanted; `tell` hears the number of each page before it is asked for. Raises DataError."""

    async def ask() -> Selection:
        async with ExchangeNetwork(endpoints, cache_dir, clock) as network:
            listed = await exchange_filter(wanted, network)
        async with CoinList(endpoints, clock) as coins:
            return await select(wanted, coins.page, listed, tell)

    return asyncio.run(ask())


# --- files


def default_output(wanted: Wanted, clock: Clock) -> Path:
    """`configs/approved_coins_{date}_{n}_coins_{m}_min_mcap[_{exchange}...].json`, the market cap in millions."""
    day, millions = ts_to_date(clock.now_ms())[:10], f"{wanted.least_usd / 1e6:g}"
    parts = (f"approved_coins_{day}_{wanted.n_coins}_coins_{millions}_min_mcap", *map(short_exchange, wanted.exchanges))
    return Path("configs") / f"{'_'.join(parts)}.json"


def full_path(path: Path) -> Path:
    """Where the whole rows go."""
    return path.with_name(f"{path.name.removesuffix('.json')}_full.json")


def write(selection: Selection, path: Path) -> None:
    """The list of coins, and beside it their rows. Raises DataError if there is no coin: an empty list means all."""
    if not selection.coins:
        raise DataError(f"no coin is left, {path} is not written: ask for a lower market cap or other exchanges")
    write_json(full_path(path), list(selection.rows.values()))
    write_json(path, selection.coins)
