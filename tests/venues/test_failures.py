"""Refusals of venues as their unmodified ccxt classes raise them, and what the bot makes of each (`live.md` 14, 16)."""

from __future__ import annotations

import json
from typing import Any

import ccxt.async_support as ccxt
import pytest

from exchanges.clients import public_client
from exchanges.endpoints import Endpoints, parse_endpoints
from exchanges.failures import Failure, failure_of, is_ambiguous

LOOPBACK = "http://127.0.0.1:9"
DOMAINS = {"https://fapi.binance.com": LOOPBACK, "https://api.bybit.com": LOOPBACK, "https://www.okx.com": LOOPBACK}
ELSEWHERE = parse_endpoints({"defaults": {"rest": {"rewrite_domains": DOMAINS}}}, "test")
PATHS = {
    "binance": ("fapiPrivate", "/order"),
    "bybit": ("private", "/v5/order/create"),
    "okx": ("rest", "/api/v5/trade/order"),
}
GONE_ON_OKX = {"sCode": "51400", "sMsg": "Cancellation failed as the order has been filled."}
NO_POSITION = "current position is zero, cannot fix reduce-only order qty"
REPLIES: list[tuple[str, int, Any, Failure]] = [
    ("binance", 400, {"code": -2011, "msg": "Unknown order sent."}, "gone"),
    ("binance", 400, {"code": -2013, "msg": "Order does not exist."}, "gone"),
    ("binance", 400, {"code": -4116, "msg": "ClientOrderId is duplicated."}, "duplicate_id"),
    ("binance", 400, {"code": -2019, "msg": "Margin is insufficient."}, "margin"),
    ("binance", 400, {"code": -5022, "msg": "Post Only order will be rejected."}, "post_only"),
    ("binance", 400, {"code": -2022, "msg": "ReduceOnly Order is rejected."}, "reduce_only"),
    ("binance", 400, {"code": -4164, "msg": "Order's notional must be no smaller than 5."}, "minimum"),
    ("binance", 400, {"code": -4059, "msg": "No need to change position side."}, "unchanged"),
    ("binance", 400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, "clock"),
    ("binance", 400, {"code": -1022, "msg": "Signature for this request is not valid."}, "auth"),
    ("binance", 400, {"code": -4014, "msg": "Price not increased by tick size."}, "refused"),
    ("binance", 429, {"code": -1003, "msg": "Too many requests."}, "rate_limit"),
    ("binance", 418, {"code": -1003, "msg": "Way too many requests; banned until 17."}, "rate_limit"),
    ("binance", 503, {"code": -1001, "msg": "Internal error; unable to process your request."}, "unavailable"),
    ("binance", 408, {"code": -1007, "msg": "Timeout waiting for response; send status unknown."}, "network"),
    ("bybit", 200, {"retCode": 110001, "retMsg": "order not exists or too late to cancel"}, "gone"),
    ("bybit", 200, {"retCode": 110072, "retMsg": "OrderLinkedID is duplicate"}, "duplicate_id"),
    ("bybit", 200, {"retCode": 110007, "retMsg": "ab not enough for new order"}, "margin"),
    ("bybit", 200, {"retCode": 110017, "retMsg": NO_POSITION}, "reduce_only"),
    ("bybit", 200, {"retCode": 110094, "retMsg": "Order does not meet minimum order value 5USDT"}, "minimum"),
    ("bybit", 200, {"retCode": 110043, "retMsg": "Set leverage has not been modified."}, "unchanged"),
    ("bybit", 200, {"retCode": 110026, "retMsg": "Cross/isolated margin mode is not modified"}, "unchanged"),
    ("bybit", 200, {"retCode": 110025, "retMsg": "Position mode is not modified"}, "unchanged"),
    ("bybit", 200, {"retCode": 10002, "retMsg": "invalid request, please check your timestamp"}, "clock"),
    ("bybit", 200, {"retCode": 10003, "retMsg": "API key is invalid."}, "auth"),
    ("bybit", 200, {"retCode": 10006, "retMsg": "Too many visits!"}, "rate_limit"),
    ("bybit", 403, {"retCode": 10006, "retMsg": "Too many visits!"}, "rate_limit"),
    ("bybit", 503, "<html>busy</html>", "unavailable"),
    ("bybit", 200, {"retCode": 10001, "retMsg": "params error"}, "refused"),
    ("okx", 200, {"code": "1", "data": [GONE_ON_OKX]}, "gone"),
    ("okx", 200, {"code": "1", "data": [{"sCode": "51016", "sMsg": "Client order ID exists."}]}, "duplicate_id"),
    ("okx", 200, {"code": "1", "data": [{"sCode": "51008", "sMsg": "Insufficient USDT margin."}]}, "margin"),
    ("okx", 200, {"code": "50011", "msg": "Rate limit reached."}, "rate_limit"),
]  # fmt: skip


@pytest.fixture(scope="module", params=[Endpoints(), ELSEWHERE], ids=["own host", "another host"])
def clients(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A client of each exchange; nothing is sent."""
    return {exchange: public_client(exchange, request.param) for exchange in PATHS}


def raised(client: Any, url: str, status: int, reply: Any) -> BaseException:
    """What a client makes of a reply, as it would after receiving it."""
    body = reply if isinstance(reply, str) else json.dumps(reply, separators=(",", ":"))
    parsed = None if isinstance(reply, str) else reply
    with pytest.raises(ccxt.BaseError) as caught:
        client.handle_errors(status, "", url, "POST", {}, body, parsed, {}, "")
        client.handle_http_status_code(status, "", url, "POST", body)
    return caught.value


@pytest.mark.parametrize(("exchange", "status", "reply", "meaning"), REPLIES)
def test_replies(clients: dict[str, Any], exchange: str, status: int, reply: Any, meaning: Failure) -> None:
    """The same meaning on the venue's own host and on any other."""
    client, (group, path) = clients[exchange], PATHS[exchange]
    url = client.implode_hostname(client.urls["api"][group]) + path
    assert failure_of(exchange, raised(client, url, status, reply)) == meaning


@pytest.mark.parametrize(
    ("error", "meaning", "ambiguous"),
    [
        (ccxt.RequestTimeout("gateio POST https://x timed out"), "network", True),
        (ccxt.NetworkError("Connection reset by peer"), "network", True),
        (ccxt.ExchangeNotAvailable("the reply is no JSON"), "unavailable", True),
        (ccxt.OnMaintenance("back soon"), "unavailable", True),
        (ccxt.BadResponse("unexpected"), "network", True),
        (ConnectionResetError(), "network", True),
        (TimeoutError(), "network", True),
        (ccxt.OrderNotFound("x"), "gone", False),
        (ccxt.AuthenticationError("x"), "auth", False),
        (ccxt.PermissionDenied("x"), "auth", False),
        (ccxt.ExchangeError("hyperliquid Order was never placed, already canceled, or filled."), "gone", False),
        (ccxt.ExchangeError('gateio {"label":"ORDER_NOT_FOUND","message":"x"}'), "gone", False),
        (ccxt.ExchangeError('kucoin {"code":"100004","msg":"The order cannot be canceled."}'), "refused", False),
        (ccxt.InvalidOrder("hyperliquid Order must have minimum value of $10."), "minimum", False),
        (ccxt.InvalidOrder("gateio POC_FILL_IMMEDIATELY"), "post_only", False),
        (ccxt.ExchangeError("paradex account already onboarded"), "unchanged", False),
        (ccxt.BadSymbol("x"), "refused", False),
        (ValueError("x"), "other", False),
    ],
)
def test_errors(error: BaseException, meaning: Failure, ambiguous: bool) -> None:
    """By the words of the reply, or by class; what may have been carried out is ambiguous, never refused."""
    assert failure_of("generic", error) == meaning
    assert is_ambiguous(meaning) is ambiguous


def test_codes_belong_to_venues() -> None:
    """100004 is a gone order on KuCoin, and nothing known elsewhere."""
    error = ccxt.ExchangeError('kucoinfutures {"code":"100004","msg":"The order cannot be canceled."}')
    assert (failure_of("kucoinfutures", error), failure_of("okx", error)) == ("gone", "refused")
