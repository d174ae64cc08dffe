"""Client order ids: made from what the exchange reports of an order, so that ours can be told from a stranger's.

`live.md` 15 and D10, `additions.md` 4 and 14. An id is a prefix, `0x`, four digits of the order type and a digest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import passivbot_rust

from core.clock import MINUTE_MS
from core.errors import ConfigError
from core.rng import digest
from markets.market import Market
from markets.symbols import short_exchange

UNKNOWN = "unknown"
MOST_EQUAL_ORDERS = 20  # how many equal orders one plan may hold; ids are recognised up to this count
_LEAST_DIGITS = 8  # of the digest: fewer could meet by chance
_MARKER = re.compile(r"0x([0-9a-f]{4})", re.IGNORECASE)
_LEADING = re.compile(r"[0-9a-f]{4}", re.IGNORECASE)
_TYPE_NAMES: Mapping[int, str] = passivbot_rust.all_order_types_ids()


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What both sides know of an order: `qty` is the amount it was placed with (absolute), as the exchange lists it."""

    symbol: str
    side: str
    position_side: str
    qty: float
    price: float


@dataclass(frozen=True, slots=True)
class IdRules:
    """What a venue accepts as an id: its length, a prefix ahead of the marker, and the characters."""

    max_len: int
    prefix: str
    alphabet: re.Pattern[str]


_ALPHABETS = {
    "binance": r"[.A-Z:/a-z0-9_-]+",
    "bitget": r"[0-9A-Za-z_:#+-]+",
    "okx": r"[0-9A-Za-z]+",
    "gateio": r"[0-9A-Za-z_.-]+",
    "hyperliquid": r"0x[0-9a-f]{32}",
}
_COMMON_ALPHABET = r"[0-9A-Za-z_-]+"
_MAX_LEN = {"bitget": 64, "okx": 32, "gateio": 28, "hyperliquid": 34, "kucoin": 40}
_COMMON_MAX_LEN = 36
_PREFIX_FORMS = {"binance": "x-{}", "bitget": "{}#", "okx": "{}"}
_ADDED_BY_CLIENT = {"gateio": "t-"}  # ccxt puts it ahead; the venue's limit does not count it


def id_rules(exchange: str, broker: object = "") -> IdRules:
    """The rules of a venue (`live.md` 21.1); a broker code stands ahead of the marker where the venue wants that.

    Raises ConfigError for a code that the venue would refuse, or that leaves the digest too short.
    """
    name = short_exchange(exchange)
    prefix = _PREFIX_FORMS[name].format(broker) if name in _PREFIX_FORMS and isinstance(broker, str) and broker else ""
    alphabet = re.compile(_ALPHABETS.get(name, _COMMON_ALPHABET))
    max_len = _MAX_LEN.get(name, _COMMON_MAX_LEN)
    if prefix and not alphabet.fullmatch(prefix):
        raise ConfigError(f"broker code {broker!r} of {name} has characters that {name} does not take in order ids")
    if max_len - len(prefix) < len("0x0000") + _LEAST_DIGITS:
        raise ConfigError(f"broker code {broker!r} of {name} is too long: order ids hold {max_len} characters")
    return IdRules(max_len, prefix, alphabet)


class OrderIds:
    """The ids of one account. `markets` gives the steps to which prices and quantities are rounded in the digest."""

    def __init__(self, exchange: str, user: str, markets: Mapping[str, Market], broker: object = "") -> None:
        self.rules = id_rules(exchange, broker)
        self._user, self._markets = user, markets
        self._added = _ADDED_BY_CLIENT.get(short_exchange(exchange), "")

    def make(self, facts: OrderFacts, order_type: str, minute_ms: int, counter: int = 0) -> str:
        """The id of an intent; `counter` tells equal orders of one plan apart, `minute_ms` is the planning minute.

        Raises ValueError for an order type that the crate does not have.
        """
        type_id = passivbot_rust.order_type_snake_to_id(order_type)
        market = self._markets[facts.symbol]
        digits = digest(
            self._user,
            facts.symbol,
            facts.position_side,
            facts.side,
            passivbot_rust.round_(facts.price, market.price_step),
            passivbot_rust.round_(abs(facts.qty), market.qty_step),
            order_type,
            minute_ms // MINUTE_MS,
            counter,
        )
        return f"{self.rules.prefix}0x{type_id:04x}{digits}"[: self.rules.max_len]

    def make_all(
        self, orders: Sequence[tuple[OrderFacts, str]], minute_ms: int, resting: Collection[str] = ()
    ) -> list[str]:
        """One id for each order (with its type) of a plan, none twice and none that an open order already has."""
        taken = {self.reported(custom_id) for custom_id in resting}
        counters: Counter[str] = Counter()
        ids = []
        for facts, order_type in orders:
            first = self.make(facts, order_type, minute_ms)
            custom_id = first
            while custom_id in taken:
                counters[first] += 1
                custom_id = self.make(facts, order_type, minute_ms, counters[first])
            taken.add(custom_id)
            ids.append(custom_id)
        return ids

    def is_ours(self, custom_id: str, facts: OrderFacts, minutes: Sequence[int]) -> bool:
        """Whether this account would have made the id for such an order in one of the minutes (see `minutes_of`).

        The facts are those of an open order; a fill's price is not the order's.
        """
        custom_id = self.reported(custom_id)
        order_type = order_type_of(custom_id)
        if order_type == UNKNOWN or facts.symbol not in self._markets:
            return False
        return any(
            self.make(facts, order_type, minute, counter) == custom_id
            for minute in minutes
            for counter in range(MOST_EQUAL_ORDERS)
        )

    def reported(self, custom_id: str) -> str:
        """An id from a reply as we made it: without what the client put ahead."""
        return custom_id.removeprefix(self._added)


def minutes_of(created_ms: int) -> tuple[int, int]:
    """The planning minutes an order that the exchange created then may belong to: that one and the one before."""
    minute = created_ms // MINUTE_MS * MINUTE_MS
    return minute, minute - MINUTE_MS


def order_type_of(custom_id: str) -> str:
    """The order type in an id: the first `0x` and four digits anywhere, else four leading digits, else `unknown`."""
    marker = _MARKER.search(custom_id)
    leading = None if marker else _LEADING.match(custom_id)
    if marker:
        return _TYPE_NAMES.get(int(marker[1], 16), UNKNOWN)
    return _TYPE_NAMES.get(int(leading[0], 16), UNKNOWN) if leading else UNKNOWN
