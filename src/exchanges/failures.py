"""What an error of a CCXT client means for the bot (`live.md` 14, 16, 21.4; `exchange_simulator.md` 7.3, 8.3).

The venue's own code comes first: ccxt picks its finer classes by host name, so that on another host (a simulator, a
proxy) the same refusal arrives as a plain ExchangeError. Then the words of the reply, then ccxt's class.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from markets.symbols import short_exchange

Failure = Literal[
    "rate_limit",  # asked too often, or banned for a while
    "auth",  # the keys are wrong, expired, or may not trade
    "clock",  # the request's time is off
    "network",  # no reply, or none that can be read
    "unavailable",  # the venue cannot answer at the moment
    "gone",  # the order is not there any more: filled or cancelled
    "duplicate_id",  # the client order id was used before
    "margin",  # not enough of it
    "post_only",  # would have been filled at once
    "reduce_only",  # there is no position to reduce
    "minimum",  # below the venue's smallest order
    "unchanged",  # a setting already is as asked for
    "refused",  # any other answer of the venue
    "other",  # not of the venue at all
]

AMBIGUOUS = frozenset({"network", "unavailable"})
"""After these nobody knows whether a write was carried out; only the next read does."""

_CODES: Mapping[str, Mapping[str, Failure]] = {
    "binance": {
        "-1003": "rate_limit", "-1008": "unavailable", "-1001": "unavailable", "-1007": "network", "-1021": "clock",
        "-1022": "auth", "-2014": "auth", "-2015": "auth", "-2011": "gone", "-2013": "gone", "-4116": "duplicate_id",
        "-2019": "margin", "-5022": "post_only", "-2022": "reduce_only", "-4118": "reduce_only", "-4164": "minimum",
        "-4003": "minimum", "-4046": "unchanged", "-4059": "unchanged",
    },
    "bybit": {
        "10006": "rate_limit", "10018": "rate_limit", "10002": "clock", "10003": "auth", "10004": "auth",
        "10005": "auth", "33004": "auth", "10016": "unavailable", "10000": "network", "110001": "gone",
        "110010": "gone", "110072": "duplicate_id", "110007": "margin", "110012": "margin", "110017": "reduce_only",
        "110094": "minimum", "110043": "unchanged", "110026": "unchanged", "110025": "unchanged",
    },
    "okx": {
        "50011": "rate_limit", "50061": "rate_limit", "50102": "clock", "50113": "auth", "50111": "auth",
        "50114": "auth", "50105": "auth", "50110": "auth", "50001": "unavailable", "50004": "network",
        "50013": "unavailable", "51400": "gone", "51401": "gone", "51402": "gone", "51016": "duplicate_id",
        "51008": "margin", "51119": "margin", "51169": "reduce_only", "51020": "minimum", "59107": "unchanged",
    },
    "bitget": {
        "429": "rate_limit", "40005": "clock", "40008": "clock", "40006": "auth", "40009": "auth", "40012": "auth",
        "40037": "auth", "40768": "gone", "43001": "gone", "40786": "duplicate_id", "40762": "margin",
        "22002": "reduce_only", "45110": "minimum",
    },
    "kucoin": {"100004": "gone", "429000": "rate_limit", "400002": "clock", "300003": "margin"},
}  # fmt: skip

# Words that venues use, wherever they stand. The first that is found counts.
_WORDS: tuple[tuple[str, Failure], ...] = (
    ("order_not_found", "gone"),
    ("order not found", "gone"),
    ("order does not exist", "gone"),
    ("order not exist", "gone"),
    ("unknown order", "gone"),
    ("already filled", "gone"),
    ("already been filled", "gone"),
    ("already cancel", "gone"),
    ("already been cancel", "gone"),
    ("never placed, already canceled, or filled", "gone"),
    ("willtakeliquidity", "post_only"),
    ("post only order would", "post_only"),
    ("would immediately match", "post_only"),
    ("poc_fill_immediately", "post_only"),
    ("duplicate", "duplicate_id"),
    ("reduce only", "reduce_only"),
    ("reduceonly", "reduce_only"),
    ("minimum value of $10", "minimum"),
    ("not modified", "unchanged"),
    ("no need to change", "unchanged"),
    ("already onboarded", "unchanged"),
    ("already_onboarded", "unchanged"),
)

# ccxt's classes, the finer ones first.
_CLASSES: tuple[tuple[str, Failure], ...] = (
    ("InvalidNonce", "clock"),
    ("RateLimitExceeded", "rate_limit"),
    ("DDoSProtection", "rate_limit"),
    ("ExchangeNotAvailable", "unavailable"),
    ("NetworkError", "network"),
    ("BadResponse", "network"),
    ("AuthenticationError", "auth"),
    ("OrderNotFound", "gone"),
    ("OrderImmediatelyFillable", "post_only"),
    ("DuplicateOrderId", "duplicate_id"),
    ("InsufficientFunds", "margin"),
    ("NoChange", "unchanged"),
    ("OperationFailed", "unavailable"),
    ("BaseError", "refused"),
)

_CODE = re.compile(r"""["'](?:sCode|code|retCode|ret_code)["']\s*:\s*["']?(-?\d+)""")


def failure_of(exchange: str, error: BaseException) -> Failure:
    """What an error means, whatever raised it; `other` for one that no exchange and no connection is to blame for."""
    errors = importlib.import_module("ccxt.base.errors")
    if not isinstance(error, errors.BaseError):
        return "network" if isinstance(error, ConnectionError | TimeoutError) else "other"
    text = str(error)
    codes = _CODES.get(short_exchange(exchange), {})
    for code in _codes(text):
        if code in codes:
            return codes[code]
    kind = next(kind for name, kind in _CLASSES if isinstance(error, getattr(errors, name)))
    if kind != "refused":
        return kind
    lower = text.lower()
    return next((kind for words, kind in _WORDS if words in lower), kind)


def _codes(text: str) -> Iterator[str]:
    """Codes in a reply, those of the single order before that of the whole request."""
    found = [(match[0], match[1]) for match in _CODE.finditer(text)]
    yield from (code for where, code in found if "sCode" in where)
    yield from (code for where, code in found if "sCode" not in where)


def is_ambiguous(failure: Failure) -> bool:
    """Whether a write that ended so may have been carried out."""
    return failure in AMBIGUOUS
