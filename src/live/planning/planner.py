"""The account and the market as one request to the planner, and its answer (`live.md` 11, D5; `orchestrator.md` 17).

Nothing is decided here but one thing: a symbol about which too little is known is left alone, so that the others trade.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.settings import SideParams
from core.terms import PSIDES, Pside
from exchanges.protocol import HeldPosition, Key
from live.choice.eligibility import effective_min_cost
from live.choice.market_book import MarketBook
from live.planning.indicators import NO_EMAS, SymbolEmas
from live.planning.trailing import Bundle, default_bundle
from live.planning.translate import FLAT
from live.records import IdealOrder, Modes
from markets.market import Market

BUNDLE_NAMES = ("min_since_open", "max_since_min", "max_since_open", "min_since_max")
# These belong to the side as a whole: no coin has its own.
GLOBAL_NAMES = frozenset(
    {"n_positions", "total_wallet_exposure_limit", "risk_twel_enforcer_threshold", "unstuck_loss_allowance_pct"}
)
# A position on a contract that the exchange does not list: it counts, and nothing is ever ordered.
_UNKNOWN_RULES = {"qty_step": 1e-12, "price_step": 1e-12, "min_qty": 0.0, "min_cost": 0.0, "c_mult": 1.0}


@dataclass(frozen=True, slots=True)
class CycleFacts:
    """What a plan is made of. `prices` are last prices; `old_prices` the last known ones of earlier cycles.

    `limits` are wallet exposure limits, `bundles` the trailing states of positions that trail, `balance` is the
    accepted one, `hedge`: both sides of a symbol may be open.
    """

    balance: float
    positions: Mapping[Key, HeldPosition]
    modes: Modes
    limits: Mapping[Key, float]
    prices: Mapping[str, float]
    old_prices: Mapping[str, float]
    emas: Mapping[str, SymbolEmas]
    bundles: Mapping[Key, Bundle]
    allowances: Mapping[Pside, float]
    hedge: bool


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What of the config the planner is told: the parameters of both sides, and those of a symbol."""

    sides: Mapping[Pside, SideParams]
    own: Mapping[Key, SideParams]
    filter_by_min_effective_cost: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Ideal orders; `frozen` are the symbols left alone in this cycle, and why; `modes` say so for both their sides.

    `request` and `response` are the planner's; None where there was nothing to ask.
    """

    frozen: Mapping[str, str]
    modes: Modes
    orders: tuple[IdealOrder, ...] = ()
    warnings: tuple[str, ...] = ()
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None


def make_plan(facts: CycleFacts, rules: PlanRules, book: MarketBook) -> Plan:
    """What should rest now. Raises ValueError if the planner refuses the request, naming the member."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    frozen = frozen_symbols(facts, book)
    modes: Modes = {key: "manual" if key[0] in frozen else mode for key, mode in facts.modes.items()}
    symbols = [
        symbol
        for symbol in sorted({symbol for symbol, _ in modes})
        if symbol not in frozen or _price_of(symbol, facts) > 0.0
    ]
    if not symbols:
        return Plan(frozen, modes)
    request = _request(symbols, facts, modes, rules, book)
    response = json.loads(passivbot_rust.calc_ideal_orders_orchestrator(json.dumps(request)))
    orders = tuple(
        IdealOrder(symbols[row["symbol_idx"]], row["pside"], row["qty"], row["price"], row["order_type"])
        for row in response["orders"]
    )
    warnings = tuple(_readable(warning, symbols) for warning in response["diagnostics"]["warnings"])
    return Plan(frozen, modes, orders, warnings, request, response)


def frozen_symbols(facts: CycleFacts, book: MarketBook) -> dict[str, str]:
    """The symbols that cannot be planned for now, with the reason: no price, no EMA, not listed."""
    reasons = {}
    for symbol in sorted({symbol for symbol, _ in facts.modes}):
        managed = any(facts.modes[symbol, pside] != "manual" for pside in PSIDES)
        emas = facts.emas.get(symbol, NO_EMAS)
        if symbol not in book.markets:
            reasons[symbol] = f"{book.exchange} does not list {symbol}"
        elif not _is_price(facts.prices.get(symbol)):
            reasons[symbol] = f"no last price of {symbol}"
        elif managed and emas.missing:
            reasons[symbol] = emas.missing
    return reasons


def bot_params(params: SideParams, side: SideParams, limit: float) -> dict[str, float]:
    """All parameters of a symbol and side for the planner; null counts as 0."""
    import passivbot_rust  # lazily, as above

    chosen = {name: side if name in GLOBAL_NAMES else params for name in passivbot_rust.bot_param_names()}
    values: dict[str, float] = {name: float(source.get(name) or 0.0) for name, source in chosen.items()}
    return values | {"wallet_exposure_limit": limit, "n_positions": int(values["n_positions"])}


def _request(symbols: list[str], facts: CycleFacts, modes: Modes, rules: PlanRules, book: MarketBook) -> dict[str, Any]:
    sides = {
        pside: bot_params(side, side, float(side["total_wallet_exposure_limit"])) for pside, side in rules.sides.items()
    }
    return {
        "balance": facts.balance,
        "peek_hints": None,
        "global": {
            "filter_by_min_effective_cost": rules.filter_by_min_effective_cost,
            "unstuck_allowance_long": facts.allowances["long"],
            "unstuck_allowance_short": facts.allowances["short"],
            "sort_global": True,
            "hedge_mode": facts.hedge,
            "global_bot_params": sides,
        },
        "symbols": [
            {"symbol_idx": i, **_symbol(symbol, facts, modes, book), **_sides(symbol, facts, modes, rules)}
            for i, symbol in enumerate(symbols)
        ],
    }


def _symbol(symbol: str, facts: CycleFacts, modes: Modes, book: MarketBook) -> dict[str, Any]:
    market, price = book.markets.get(symbol), _price_of(symbol, facts)
    left_alone = all(modes[symbol, pside] == "manual" for pside in PSIDES)
    emas = NO_EMAS if left_alone else facts.emas.get(symbol, NO_EMAS)
    return {
        "order_book": {"bid": price, "ask": price},
        "exchange": _rules(market),
        "tradable": bool(market and market.active),
        "next_candle": None,
        "effective_min_cost": effective_min_cost(market, price) if market else 0.0,
        "emas": {
            "m1": {
                "close": sorted(emas.closes.items()),
                "log_range": sorted(emas.log_ranges.items()),
                "volume": sorted(emas.volumes.items()),
            },
            "h1": {"close": [], "log_range": sorted(emas.hourly_log_ranges.items()), "volume": []},
        },
    }


def _rules(market: Market | None) -> dict[str, float]:
    return {name: getattr(market, name) for name in _UNKNOWN_RULES} if market else dict(_UNKNOWN_RULES)


def _sides(symbol: str, facts: CycleFacts, modes: Modes, rules: PlanRules) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for pside in PSIDES:
        key: Key = (symbol, pside)
        position = facts.positions.get(key, FLAT)
        parts[pside] = {
            "mode": modes[key],
            "position": {"size": position.size, "price": position.price},
            "trailing": dict(zip(BUNDLE_NAMES, facts.bundles.get(key) or default_bundle(), strict=True)),
            "bot_params": bot_params(rules.own[key], rules.sides[pside], facts.limits[key]),
        }
    return parts


def _price_of(symbol: str, facts: CycleFacts) -> float:
    """The last price, an older one, or that of a position, so that its exposure counts; 0 without any."""
    held = [facts.positions.get((symbol, pside), FLAT).price for pside in PSIDES]
    known = (facts.prices.get(symbol), facts.old_prices.get(symbol), *held)
    return next((float(price) for price in known if price is not None and _is_price(price)), 0.0)


def _is_price(price: float | None) -> bool:
    return price is not None and math.isfinite(price) and price > 0.0


def _readable(warning: Mapping[str, Mapping[str, Any]], symbols: list[str]) -> str:
    """A warning of the planner, `{kind: {symbol_idx, pside}}`, with the symbol's name."""
    return ", ".join(f"{symbols[at['symbol_idx']]} {at['pside']}: {kind}" for kind, at in warning.items())
