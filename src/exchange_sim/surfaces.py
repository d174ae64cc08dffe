"""What a request is about, so that faults meet those they are for, and what it weighs (`exchange_simulator.md` 10)."""

from __future__ import annotations

from collections.abc import Mapping

_ACCOUNT_HEADERS = ("X-MBX-APIKEY", "X-BAPI-API-KEY")
_NO_ACCOUNT = ("/sapi/", "/v5/asset/")  # signed, but answered alike for everybody

_KINDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "klines": (("GET", "/fapi/v1/klines"), ("GET", "/v5/market/kline")),
    "create": (
        ("POST", "/fapi/v1/order"), ("POST", "/fapi/v1/batchOrders"),
        ("POST", "/v5/order/create"), ("POST", "/v5/order/create-batch"),
    ),
    "cancel": (
        ("DELETE", "/fapi/v1/order"), ("DELETE", "/fapi/v1/batchOrders"), ("DELETE", "/fapi/v1/allOpenOrders"),
        ("POST", "/v5/order/cancel"), ("POST", "/v5/order/cancel-batch"), ("POST", "/v5/order/cancel-all"),
    ),
    "orders": (("GET", "/fapi/v1/openOrders"), ("GET", "/v5/order/realtime")),
    "positions": (("GET", "/fapi/v3/positionRisk"), ("GET", "/fapi/v2/positionRisk"), ("GET", "/v5/position/list")),
    "balance": (("GET", "/fapi/v3/account"), ("GET", "/fapi/v2/account"), ("GET", "/v5/account/wallet-balance")),
    "fills": (
        ("GET", "/fapi/v1/userTrades"), ("GET", "/fapi/v1/income"),
        ("GET", "/v5/execution/list"), ("GET", "/v5/position/closed-pnl"),
    ),
}  # fmt: skip
_KIND_OF = {call: kind for kind, calls in _KINDS.items() for call in calls}

# Of Binance, by path: for one symbol, and for all. What is not here weighs 1, as everything does on Bybit.
_WEIGHTS: Mapping[str, tuple[int, int]] = {
    "/fapi/v1/ticker/24hr": (1, 40),
    "/fapi/v1/ticker/price": (1, 2),
    "/fapi/v2/ticker/price": (1, 2),
    "/fapi/v1/ticker/bookTicker": (2, 5),
    "/fapi/v1/premiumIndex": (1, 10),
    "/fapi/v1/openOrders": (1, 40),
    "/fapi/v1/userTrades": (5, 5),
    "/fapi/v1/income": (30, 30),
    "/fapi/v2/account": (5, 5),
    "/fapi/v3/account": (5, 5),
    "/fapi/v2/positionRisk": (5, 5),
    "/fapi/v3/positionRisk": (5, 5),
    "/fapi/v1/commissionRate": (20, 20),
    "/fapi/v1/batchOrders": (5, 5),
}
_KLINE_WEIGHTS = ((100, 1), (500, 2), (1001, 5))  # below so many rows
MOST_KLINE_WEIGHT, DEFAULT_KLINES = 10, 500


def kind_of(method: str, path: str) -> str:
    """klines, create, cancel, orders, positions, balance, fills, or other."""
    return _KIND_OF.get((method, path), "other")


def account_of(path: str, headers: Mapping[str, str]) -> str:
    """The API key whose account a call is about; empty if it is about none."""
    if path.startswith(_NO_ACCOUNT):
        return ""
    return next((headers[name] for name in _ACCOUNT_HEADERS if name in headers), "")


def weight_of(method: str, path: str, params: Mapping[str, str]) -> int:
    """What the venue counts a call as."""
    if path == "/fapi/v1/klines":
        limit = int(params.get("limit") or DEFAULT_KLINES)
        return next((weight for most, weight in _KLINE_WEIGHTS if limit < most), MOST_KLINE_WEIGHT)
    if (method, path) == ("GET", "/fapi/v1/positionSide/dual"):
        return 30
    one, all_of_them = _WEIGHTS.get(path, (1, 1))
    return one if params.get("symbol") else all_of_them
