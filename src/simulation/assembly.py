"""From a plan to the arrays of a dataset (`candles.md` 15.2-15.7): download, place coins, BTC prices, meta."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import DAY_MS, MINUTE_MS
from core.dates import ts_to_date
from core.errors import CandleFetchError, DataError, OfflineDataError
from core.tasks import together
from markets import sample
from markets.market import import_hint
from simulation.dataset_cache import Array, DatasetContent
from simulation.loading import PLACED, Failures, Loaded, fetch_coin, place_coin
from simulation.market_settings import META
from simulation.plan import BTC, CoinPlan, Plan
from simulation.request import DatasetRequest
from simulation.volumes import candidates_on_all, factors, volume_ratios, window_of

COINS_IN_MEMORY = 2

Progress = Callable[[str, int, int], None]


async def fetch(request: DatasetRequest, plan: Plan, progress: Progress | None) -> Failures:
    """Bring all candles into the stores, several coins at once; what could not be fetched, with the reasons.

    The BTC prices are a coin like others here.
    """
    if not plan.can_fetch and not plan.btc.feed.can_fetch:
        return {}
    failures: Failures = {}
    done = 0
    if progress:
        progress("", 0, len(plan.coins))

    async def one(item: CoinPlan) -> None:
        nonlocal done
        failures.update(await fetch_coin(request, item, plan.end_ts))
        done += 1
        if progress:
            progress(f"{item.coin} on disk", done, len(plan.coins))

    async def btc_prices() -> None:
        try:
            await _fetch_btc(request, plan)
        except DataError as exc:
            failures[BTC, plan.btc.feed.exchange] = str(exc)

    await together(*(one(item) for item in plan.coins), btc_prices())
    return failures


async def _fetch_btc(request: DatasetRequest, plan: Plan) -> None:
    if plan.btc.feed.can_fetch:
        await plan.btc.feed.manager.ensure(
            plan.btc.symbol, plan.start_ts, plan.end_ts, force_refetch_gaps=request.force_refetch_gaps
        )


def failed_coins(plan: Plan, failures: Failures) -> dict[str, str]:
    """Why coins cannot take part. Raises CandleFetchError if it is the BTC prices that could not be fetched."""
    if (BTC, plan.btc.feed.exchange) in failures:
        raise CandleFetchError(failures[BTC, plan.btc.feed.exchange])
    reasons: dict[str, list[str]] = {}
    for (coin, _), reason in failures.items():
        reasons.setdefault(coin, []).append(reason)
    return {coin: "; ".join(texts) for coin, texts in reasons.items()}


async def build(
    request: DatasetRequest, plan: Plan, failed: Mapping[str, str], progress: Progress | None
) -> tuple[DatasetContent, dict[str, dict[str, Any]]]:
    """The arrays and settings, and what to tell of each coin: exchange, real and filled rows."""
    coins = [item for item in plan.coins if item.coin not in failed]
    origin = _origin(plan, coins)
    cube = np.full(((plan.end_ts - origin) // MINUTE_MS + 1, len(coins), 4), np.nan)
    loaded, reasons = await _place_all(request, plan, coins, (cube, origin), progress)
    left_out = {**plan.left_out, **failed, **reasons}
    if not loaded:
        raise OfflineDataError(_nothing_left(request, left_out))
    columns = [i for i, item in enumerate(coins) if item.coin not in reasons]
    cube = cube[:, columns] if len(columns) < cube.shape[1] else cube
    start, end, notes = _final_range(plan, loaded)
    notes += await _normalize_volumes(request, plan, loaded, cube, (start, end))
    btc_usd, btc_notes = await asyncio.to_thread(_btc_usd, plan, (start, end))
    content = DatasetContent(
        coins=tuple(item.coin for item in loaded),
        settings={item.coin: _settings(item, start, end) for item in loaded} | {META: _meta(request, plan, start)},
        hlcvs=cube[(start - origin) // MINUTE_MS : (end - origin) // MINUTE_MS + 1],
        timestamps=np.arange(start, end + MINUTE_MS, MINUTE_MS, dtype=np.int64),
        btc_usd=btc_usd,
        notes=(*plan.notes, *notes, *btc_notes),
        left_out=left_out,
    )
    return content, {
        item.coin: {
            "exchange": item.candidate.feed.exchange,
            "real_rows": item.n_real,
            "filled_rows": item.n_filled,
            "gaps": item.n_gaps,
        }
        for item in loaded
    }


def _origin(plan: Plan, coins: list[CoinPlan]) -> int:
    """No candle of any coin lies before this: it keeps the cube small where data begin late."""
    firsts = [
        max(item.start_ts, c.feed.manager.stored_first_ts(c.symbol) or 0) for item in coins for c in item.candidates
    ]
    return min(max(min(firsts, default=plan.start_ts), plan.start_ts), plan.end_ts) // MINUTE_MS * MINUTE_MS


async def _place_all(
    request: DatasetRequest,
    plan: Plan,
    coins: list[CoinPlan],
    target: tuple[npt.NDArray[np.float64], int],
    progress: Progress | None,
) -> tuple[list[Loaded], dict[str, str]]:
    """Every coin into its column, two at a time; those that are of no use with the reason."""
    cube, origin = target
    slots = asyncio.Semaphore(COINS_IN_MEMORY)
    reasons: dict[str, str] = {}

    async def one(i: int, item: CoinPlan) -> Loaded | None:
        async with slots:
            if progress:
                progress(item.coin, i, len(coins))
            try:
                return await asyncio.to_thread(place_coin, request, item, plan, cube[:, i], origin)
            except DataError as exc:
                reasons[item.coin] = str(exc)
                return None

    placed = await asyncio.gather(*(one(i, item) for i, item in enumerate(coins)))
    if progress:
        progress("", len(coins), len(coins))
    return [item for item in placed if item is not None], {c.coin: reasons[c.coin] for c in coins if c.coin in reasons}


def _final_range(plan: Plan, loaded: list[Loaded]) -> tuple[int, int, list[str]]:
    """First and last minute of the cube. Data that cannot be fetched end the range where they end."""
    start, end = min(item.first_row_ts for item in loaded), plan.end_ts
    if plan.can_fetch:
        return start, end, []
    notes = []
    last = max(item.last_real_ts for item in loaded)
    if last < end:
        notes.append(f"the candles on disk end at {ts_to_date(last)}, before the end date: the run ends there")
    early = [f"{item.coin} at {ts_to_date(item.last_real_ts)}" for item in loaded if item.last_real_ts < last]
    if last <= plan.requested_ts:
        raise OfflineDataError(
            f"the candles on disk end at {ts_to_date(last)}, before the start date {ts_to_date(plan.requested_ts)}"
        )
    if early:
        notes.append(f"candles end earlier than those of other coins, as if delisted: {', '.join(early)}")
    return start, last, notes


async def _normalize_volumes(
    request: DatasetRequest, plan: Plan, loaded: list[Loaded], cube: Array, span: tuple[int, int]
) -> list[str]:
    """Volumes of each exchange as if traded on that of most coins; warnings where that cannot be known."""
    if len({item.candidate.feed.exchange for item in loaded}) < 2:
        return []
    markets = candidates_on_all(plan.coins, loaded)
    ratios = await asyncio.to_thread(volume_ratios, request, markets, window_of(*span))
    by_exchange, notes = factors(loaded, ratios)
    for i, item in enumerate(loaded):
        factor = by_exchange[item.candidate.feed.exchange]
        if factor != 1.0:
            cube[:, i, PLACED.index("bv")] *= factor
    return notes


def _btc_usd(plan: Plan, span: tuple[int, int]) -> tuple[Array, list[str]]:
    """Closes of BTC each minute up to the last midnight, carried over gaps, to the end and back to the start (15.6)."""
    start, end = span
    midnight = end // DAY_MS * DAY_MS
    until = midnight if midnight >= start else end
    feed = plan.btc.feed
    columns = feed.manager.store.read_columns(plan.btc.symbol, ("c",), start, until)
    ts = columns["ts"]
    if not len(ts):
        raise OfflineDataError(
            f"{feed.exchange} has no candles of BTC between {ts_to_date(start)} and {ts_to_date(end)}, which "
            "the BTC/USD prices need: import BTC, or import with --btc-flat PRICE if neither BTC collateral nor BTC "
            "metrics matter"
        )
    notes = []
    if ts[0] > start or ts[-1] < until:
        first, last = (ts_to_date(ts[i]) for i in (0, -1))
        notes.append(f"the BTC/USD prices cover only {first} to {last} of the range; they are flat outside")
    n_minutes = (end - start) // MINUTE_MS + 1
    if len(ts) == n_minutes:
        return columns["c"], notes
    rows = np.zeros(n_minutes, dtype=np.int64)
    rows[(ts[1:] - start) // MINUTE_MS] = 1
    return columns["c"][np.cumsum(rows)], notes


def _settings(item: Loaded, start: int, end: int) -> dict[str, Any]:
    """A coin's market settings: the exchange's entry, what the engine takes from it, and its valid rows."""
    market = item.candidate.market
    return {
        **item.candidate.entry,
        "symbol": market.symbol,
        "coin": market.coin,
        "exchange": market.exchange,
        "quote": market.quote,
        "base": market.base,
        "qty_step": market.qty_step,
        "price_step": market.price_step,
        "min_qty": market.min_qty,
        "min_cost": market.min_cost,
        "c_mult": market.c_mult,
        "maker": market.maker_fee,
        "maker_fee": market.maker_fee,
        "taker": market.taker_fee,
        "taker_fee": market.taker_fee,
        "hedge_mode": True,
        "first_valid_index": (item.first_real_ts - start) // MINUTE_MS,
        "last_valid_index": (min(item.last_real_ts, end) - start) // MINUTE_MS,
    }


def _meta(request: DatasetRequest, plan: Plan, start: int) -> dict[str, Any]:
    return {
        "requested_start_ts": plan.requested_ts,
        "requested_start_date": ts_to_date(plan.requested_ts),
        "effective_start_ts": start,
        "effective_start_date": ts_to_date(start),
        "warmup_minutes_requested": request.warmup_minutes,
        "warmup_minutes_provided": max(0, plan.requested_ts - start) // MINUTE_MS,
    }


def _nothing_left(request: DatasetRequest, left_out: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{coin}: {reason}" for coin, reason in left_out.items()) or "no coin is approved"
    hint = "" if request.exchanges == (sample.EXCHANGE,) else f"; {import_hint(request.exchanges[0])}"
    return f"No valid coins found with data on {request.exchange_names}: {reasons}{hint}"
