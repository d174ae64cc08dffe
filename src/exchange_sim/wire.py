"""What both protocols share on the wire: compact JSON, numbers as texts, errors, parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
from aiohttp import web

from markets.candle import PRICE_FIELDS, Candles

BYBIT_PREFIX = "/v5/"
SECRET_PARAMETERS = frozenset({"signature", "sign", "apikey", "api_key", "secret", "token", "passphrase", "listenkey"})


class VenueError(Exception):
    """A request the venue refuses, with the code and text of the protocol."""

    def __init__(self, code: int, msg: str, status: int | None = None) -> None:
        super().__init__(msg)
        self.code, self.msg, self.status = code, msg, status


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON without blanks, which adapters match textually."""
    text = json.dumps(content, separators=(",", ":"))
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


def bybit_envelope(result: Any, now_ms: int, code: int = 0, msg: str = "OK") -> dict[str, Any]:
    return {"retCode": code, "retMsg": msg, "result": result, "retExtInfo": {}, "time": now_ms}


def error_reply(path: str, error: VenueError, now_ms: int) -> web.Response:
    """An error as the protocol of `path` states it: Bybit with HTTP 200 and a retCode, Binance with HTTP 400."""
    if path.startswith(BYBIT_PREFIX):
        return json_reply(bybit_envelope({}, now_ms, error.code, error.msg), error.status or 200)
    return json_reply({"code": error.code, "msg": error.msg}, error.status or 400)


def decimal(value: float, decimals: int) -> str:
    """A number as exchanges write it: that many decimals, more only if the value would not be the same without."""
    text = f"{value:.{decimals}f}"
    return text if float(text) == value else np.format_float_positional(value, trim="-")


def decimals_text(values: npt.NDArray[np.float64], decimals: int) -> list[str]:
    """`decimal` of each value; much faster where all have no more decimals than that."""
    scale = 10.0**decimals
    if not np.array_equal(np.rint(values * scale) / scale, values):
        return [decimal(value, decimals) for value in values.tolist()]
    return fixed_text(values, decimals)


def fixed_text(values: npt.NDArray[np.float64], decimals: int) -> list[str]:
    """Each value rounded to so many decimals."""
    return (f"%.{decimals}f " * len(values) % tuple(values.tolist())).split()


def kline_columns(rows: Candles, price_decimals: int, qty_decimals: int) -> list[list[str]]:
    """Open, high, low, close and volume of candles as texts."""
    prices = [decimals_text(rows[name], price_decimals) for name in PRICE_FIELDS]
    return [*prices, decimals_text(rows["bv"], qty_decimals)]


def step_text(step: float) -> str:
    """A step or minimum without exponent: 1e-05 -> 0.00001."""
    return np.format_float_positional(step, trim="-")


def integer(query: Mapping[str, str], name: str, error: VenueError) -> int | None:
    """A whole number among the parameters; None if absent. Raises `error` for anything else."""
    text = query.get(name)
    if text is None or text == "":
        return None
    try:
        return int(text)
    except ValueError:
        raise error from None


async def parameters_of(request: web.Request) -> dict[str, str]:
    """What a request asks, wherever it stands: in the query, in a form (Binance) or in JSON (Bybit)."""
    found = dict(request.query)
    text = (await request.read()).decode(errors="replace") if request.can_read_body else ""
    if not text.startswith("{"):
        return found | dict(parse_qsl(text))
    with suppress(ValueError):
        content = json.loads(text)
        found |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in content.items()}
    return found


def public_parameters(query: Mapping[str, str]) -> dict[str, str]:
    """Parameters as they may be logged."""
    return {name: value for name, value in query.items() if name.lower() not in SECRET_PARAMETERS}
