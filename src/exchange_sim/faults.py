"""Faults on purpose (`exchange_simulator.md` 10): which requests they hit, and what they do to candles.

A fault is `{match: {method?, path?, symbol?, account?, nth?, probability?}, action, ...parameters, count, between?}`.
The first one that fits a request takes it. What happens on the connection (no reply, resets) is done by
`interference.py`, what happens to orders, fills and accounts by `desk.py`, to websockets by `sockets.py`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE_MS
from core.errors import ConfigError
from exchange_sim.market import Instrument, so_far
from markets.candle import Candles

logger = logging.getLogger(__name__)

# Action -> its parameters with defaults; None where there must be a value.
ACTIONS: Mapping[str, Mapping[str, Any]] = {
    # With `applied` these five come after the request was carried out, and nobody is told.
    "timeout": {"seconds": 3600.0, "applied": False},  # no reply, in real time
    "http": {"status": 503, "body": "", "headers": {}, "content_type": "text/html", "applied": False},
    "ret": {"code": None, "msg": "", "status": 0, "applied": False},  # the protocol's error; status 0: the usual one
    "disconnect": {"applied": False},  # the connection is closed before the reply
    "reset": {"applied": False},  # and inside it
    "slow": {"ms": 100},
    "maintenance": {},  # 503 everywhere
    "clock_skew": {"ms": None},  # the stated server time
    "delist": {},  # the symbol is listed as not trading
    "missing": {"every": 10, "span": ()},  # every n-th candle, or those that open from one time to another
    "duplicated": {"every": 10},
    "reversed": {},
    "short": {"share": 0.5},  # only the first part of the candles
    "partial": {"share": 0.5},  # the last candle is unfinished
    "late": {"minutes": 5},  # the newest minutes are not there yet
    "truncated": {"share": 0.5},  # an archive that ends early
    "checksum": {},  # of an archive, and wrong
    "reject": {"reason": None, "every": 1},  # every n-th order is refused, for a reason of the engine
    "post_only_race": {},  # the price moves just beyond a post-only order before it is there
    "cancel_race": {},  # an order is filled just before it would be cancelled
    "stale": {"surface": None, "seconds": None},  # positions, orders or balance as they were before
    "history_page_gap": {"every": 2},  # every n-th fill of a page is left out
    "fill_duplicate": {"same_id": True},  # a fill, once it happens, is in the history twice
    "fill_missing": {"for": 0.0},  # or not for so many seconds; 0: never
    "fill_late": {"seconds": None},
    "balance_jump": {"delta": None},
    # `market` is the venue's name; price 0: at the market, pside "": that of the account's mode, long in hedge mode
    "external_order": {"market": None, "side": None, "qty": None, "price": 0.0, "pside": "", "client_id": "web"},
    "external_position": {"market": None, "size": None, "entry": 0.0, "pside": ""},
    "listen_key_expire": {},  # the account's stream ends, and its key with it (Binance)
    "ws_refuse": {"status": 503},  # no upgrade
    "ws_drop": {"code": 1001},  # a websocket is closed; 1006: without a word
    "ws_silent": {},  # what would be pushed is not; pings and calls are answered
    "ws_duplicate": {},  # a push comes twice
    "ws_reorder": {},  # a push comes after the next one
    "ws_garbage": {},  # a push breaks off
}
CANDLE_ACTIONS = frozenset({"missing", "duplicated", "reversed", "short", "partial", "late"})
FILL_ACTIONS = frozenset({"fill_duplicate", "fill_missing", "fill_late"})
ACCOUNT_ACTIONS = frozenset({"balance_jump", "external_order", "external_position", "listen_key_expire"})
# Action -> the kinds of targets it is for, where these are not all requests.
_KINDS: Mapping[str, Set[str]] = {
    **dict.fromkeys(CANDLE_ACTIONS, frozenset({"klines", "archive"})),
    "truncated": frozenset({"archive"}),
    "checksum": frozenset({"checksum"}),
    **dict.fromkeys(("reject", "post_only_race"), frozenset({"create"})),
    "cancel_race": frozenset({"cancel"}),
    "history_page_gap": frozenset({"fills"}),
    **dict.fromkeys(FILL_ACTIONS, frozenset({"fill"})),
    "ws_refuse": frozenset({"upgrade"}),
    "ws_drop": frozenset({"push", "pulse"}),
    **dict.fromkeys(("ws_silent", "ws_duplicate", "ws_reorder", "ws_garbage"), frozenset({"push"})),
}
STALE_SURFACES = frozenset({"orders", "positions", "balance"})
_REQUESTS = frozenset({"klines", "archive", "checksum", "create", "cancel", "fills", "other"}) | STALE_SURFACES
STATES = frozenset({"delist"})  # hold while they stand, hit no single request
_MATCH_KEYS = ("method", "path", "symbol", "account", "nth", "probability")


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a fault is for. `nth` counts those that fit from 1; `path` is a glob, `account` an API key."""

    method: str | None = None
    path: str = "*"
    symbol: str | None = None
    account: str | None = None
    nth: int | None = None
    probability: float = 1.0


@dataclass(slots=True)
class Fault:
    """A fault and how often it was met and fired. `count` 0 means until removed; `between` is venue time in ms."""

    id: int
    action: str
    parameters: Mapping[str, Any]
    match: Match
    count: int
    between: tuple[int, int] | None
    met: int = 0
    fired: int = 0
    orders: int = 0  # those of the requests that it struck

    def as_dict(self) -> dict[str, Any]:
        match = {key: getattr(self.match, key) for key in _MATCH_KEYS}
        return {
            "id": self.id, "action": self.action, **self.parameters, "match": match,
            "count": self.count, "between": self.between, "met": self.met, "fired": self.fired,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A request as faults see it: what it is about (see `surfaces.py`), the venue's name of a symbol, an API key.

    Its kind is fill if it stands for a fill that has just happened. Of websockets it is upgrade when one is opened,
    push when something is sent unasked, pulse when the venue looks after the connection; the method is WS then, the
    path that of the connection.
    """

    method: str
    path: str
    symbol: str
    kind: str
    account: str = ""


@dataclass
class FaultBook:
    """The faults in force, in order. `seed` decides those that fire with a probability."""

    seed: int = 0
    faults: list[Fault] = field(default_factory=list)
    _last_id: int = 0

    def add(self, action: str, *, count: int = 1, between: tuple[int, int] | None = None, **options: Any) -> Fault:
        """Put a fault last in line: options are those of its match and of its action. Raises ConfigError."""
        if action not in ACTIONS:
            raise ConfigError(f"fault action {action!r} is unknown; known are {', '.join(ACTIONS)}")
        known = ACTIONS[action]
        match = {key: options.pop(key) for key in _MATCH_KEYS if key in options}
        unknown = sorted(set(options) - set(known))
        missing = sorted(key for key, value in known.items() if value is None and key not in options)
        if unknown or missing:
            wrong = f"has no parameter {unknown[0]}" if unknown else f"needs {missing[0]}"
            raise ConfigError(f"fault {action} {wrong}; it takes {', '.join((*known, *_MATCH_KEYS))}, count, between")
        if action == "stale" and options["surface"] not in STALE_SURFACES:
            raise ConfigError(
                f"fault stale: surface is {options['surface']!r}, one of {sorted(STALE_SURFACES)} is needed"
            )
        self._last_id += 1
        fault = Fault(self._last_id, action, {**known, **options}, Match(**match), count, between)
        self.faults.append(fault)
        return fault

    def add_mapping(self, content: Any) -> Fault:
        """A fault as written in a file or sent to the control interface. Raises ConfigError."""
        if not isinstance(content, dict) or not isinstance(content.get("action"), str):
            raise ConfigError(f"a fault is {{match, action, ...}}, found {content!r}")
        options = {key: value for key, value in content.items() if key not in ("match", "action")}
        between = options.pop("between", None)
        match = content.get("match") or {}
        unknown = sorted(set(match) - set(_MATCH_KEYS))
        if unknown:
            raise ConfigError(f"fault {content['action']}: match has no key {unknown[0]}; known: {_MATCH_KEYS}")
        return self.add(content["action"], between=tuple(between) if between else None, **options, **match)

    def remove(self, fault_id: int) -> None:
        self.faults = [fault for fault in self.faults if fault.id != fault_id]

    def clear(self) -> None:
        self.faults.clear()

    def take(self, target: Target, now_ms: int) -> Fault | None:
        """The fault that this request meets, counted and logged; None if there is none."""
        for fault in self._standing(now_ms):
            if fault.action in STATES or not _fits(fault, target):
                continue
            fault.met += 1
            if not self._strikes(fault):
                continue
            fault.fired += 1
            logger.info(
                "fault_fired id=%d action=%s method=%s path=%s n=%d",
                fault.id, fault.action, target.method, target.path, fault.fired,
            )  # fmt: skip
            return fault
        return None

    def delisted(self, symbol: str, now_ms: int) -> bool:
        """Whether a delist fault holds for the venue's name of a market."""
        return any(f.action == "delist" and f.match.symbol in (None, symbol) for f in self._standing(now_ms))

    def _standing(self, now_ms: int) -> Iterator[Fault]:
        for fault in self.faults:
            in_time = fault.between is None or fault.between[0] <= now_ms < fault.between[1]
            if in_time and (fault.count == 0 or fault.fired < fault.count):
                yield fault

    def _strikes(self, fault: Fault) -> bool:
        if fault.match.nth is not None and fault.met != fault.match.nth:
            return False
        digest = hashlib.blake2b(f"{self.seed}:{fault.id}:{fault.met}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2**64 < fault.match.probability


def _fits(fault: Fault, target: Target) -> bool:
    match = fault.match
    if fault.action in ACCOUNT_ACTIONS and not target.account:
        return False
    if fault.action == "stale" and target.kind != fault.parameters["surface"]:
        return False
    return (
        target.kind in _KINDS.get(fault.action, _REQUESTS)
        and (match.method is None or match.method.upper() == target.method)
        and (match.symbol is None or match.symbol == target.symbol)
        and (match.account is None or match.account == target.account)
        and fnmatchcase(target.path, match.path)
    )


def spoil(rows: Candles, fault: Fault | None, item: Instrument, now_ms: int) -> Candles:
    """The candles of a reply as a fault leaves them; unchanged without one, or if it is not about candles."""
    if fault is None or fault.action not in CANDLE_ACTIONS or not len(rows):
        return rows
    share = float(fault.parameters.get("share", 1.0))
    if fault.action == "partial":
        return np.concatenate((rows[:-1], so_far(rows[-1:], share, item)))
    spoilt: Candles = rows[_kept(rows, fault, share, now_ms)]
    return spoilt


def _kept(rows: Candles, fault: Fault, share: float, now_ms: int) -> npt.NDArray[np.int64]:
    """The numbers of the rows that are sent, in the order they are sent in."""
    numbers: npt.NDArray[np.int64] = np.arange(len(rows))
    nth: npt.NDArray[np.bool_] = (numbers + 1) % int(fault.parameters.get("every", 1)) == 0
    if fault.action == "missing":
        return numbers[~_between(rows, fault.parameters["span"]) if fault.parameters["span"] else ~nth]
    if fault.action == "duplicated":
        return np.repeat(numbers, 1 + nth)
    if fault.action == "reversed":
        return numbers[::-1]
    if fault.action == "short":
        return numbers[: int(len(rows) * share)]
    there: npt.NDArray[np.bool_] = rows["ts"] <= now_ms - float(fault.parameters["minutes"]) * MINUTE_MS
    return numbers[there]


def _between(rows: Candles, span: Sequence[float]) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (rows["ts"] >= span[0]) & (rows["ts"] <= span[1])
    return inside
