"""Bybit's calls about balance, positions and settings (`exchange_simulator.md` 8.1, 8.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exchange_sim.bybit.pages import Entry, empty_page, page_of
from exchange_sim.bybit.refusals import (
    PARAMETER_ERROR,
    invalid,
    leverage_refusal,
    margin_mode_refusal,
    position_mode_refusal,
)  # fmt: skip
from exchange_sim.bybit.rows import INDEX, position_row, wallet_row
from exchange_sim.bybit.signed import Call, asked_contracts, asked_symbol, instrument
from exchange_sim.desk import Desk
from exchange_sim.trading.records import MarginMode, Position, PositionSide, Reject
from exchange_sim.wire import VenueError

DEFAULT_PAGE, MOST_ON_PAGE = 20, 200
MOST_LEVERAGE = 100.0
MARGIN_MODES: Mapping[str, MarginMode] = {"REGULAR_MARGIN": "cross", "ISOLATED_MARGIN": "isolated"}
_HEDGE = {0: False, 3: True}


class AccountCalls:
    """Handlers take a `Call` and give the result that is sent."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._rank = {symbol: i for i, symbol in enumerate(desk.venue.market.by_symbol)}

    def handlers(self) -> dict[tuple[str, str], Callable[[Call], Any]]:
        return {
            ("GET", "/v5/user/query-api"): self.key_info,
            ("GET", "/v5/account/info"): self.info,
            ("GET", "/v5/account/wallet-balance"): self.wallet,
            ("POST", "/v5/account/set-margin-mode"): self.set_margin_mode,
            ("GET", "/v5/position/list"): self.positions,
            ("POST", "/v5/position/set-leverage"): self.set_leverage,
            ("POST", "/v5/position/switch-mode"): self.set_position_mode,
        }

    def key_info(self, call: Call) -> Any:
        """A unified account, whose key may trade."""
        permissions = {"ContractTrade": ["Order", "Position"], "Derivatives": ["DerivativesTrade"], "Wallet": []}
        return {
            "id": "1", "note": "", "apiKey": call.key, "readOnly": 0, "secret": "", "permissions": permissions,
            "ips": ["*"], "type": 1, "unified": 0, "uta": 1, "userID": 1, "inviterID": 0, "vipLevel": "No VIP",
            "isMaster": True, "parentUid": "0",
        }  # fmt: skip

    def info(self, call: Call) -> Any:
        mode = next(word for word, mode in MARGIN_MODES.items() if mode == call.account.margin_mode)
        return {
            "marginMode": mode, "unifiedMarginStatus": 6, "updatedTime": str(self.desk.venue.now_ms()),
            "dcpStatus": "OFF", "timeWindow": 10, "smpGroup": 0, "isMasterTrader": False, "spotHedgingStatus": "OFF",
        }  # fmt: skip

    def wallet(self, call: Call) -> Any:
        if call.text("accountType") != "UNIFIED":
            raise VenueError(PARAMETER_ERROR, "accountType only support UNIFIED.")
        wallet = self.desk.wallet(call.request, call.key)
        return {"list": [wallet_row(call.account, wallet, self.desk.engine.quotes, coin_of(self.desk))]}

    def positions(self, call: Call) -> Any:
        """Those that are not flat; of a contract that is named, flat ones too."""
        if not call.is_linear():
            return empty_page(call)
        limit = call.limit(DEFAULT_PAGE, MOST_ON_PAGE)
        symbol, is_asked = asked_symbol(self.desk, call), asked_contracts(self.desk, call)
        held = {(p.symbol, p.pside): p for p in self.desk.positions(call.request, call.key)}
        if symbol is not None:
            psides: tuple[PositionSide, ...] = ("long", "short") if call.account.hedge else ("both",)
            held = {(symbol, pside): held.get((symbol, pside), Position(symbol, pside)) for pside in psides}
        return page_of(call, [self._entry(p, call) for p in held.values() if is_asked(p.symbol)], limit)

    def _entry(self, position: Position, call: Call) -> Entry:
        """In the order of the listing, long before short."""
        item = self.desk.venue.market.by_symbol[position.symbol]
        row = position_row(position, item, call.account, self.desk.engine.quotes)
        return Entry((-self._rank[position.symbol], -INDEX[position.pside]), row)

    def set_leverage(self, call: Call) -> Any:
        item, leverage = instrument(self.desk, call), call.number("buyLeverage")
        if leverage != call.number("sellLeverage") or leverage > MOST_LEVERAGE:
            raise invalid("leverage")
        return _done(call.account.set_leverage(item.symbol, leverage), leverage_refusal, {})

    def set_margin_mode(self, call: Call) -> Any:
        mode = MARGIN_MODES.get(call.text("setMarginMode"))
        if mode is None:
            raise invalid("setMarginMode")
        return _done(call.account.set_margin_mode(mode), margin_mode_refusal, {"reasons": []})

    def set_position_mode(self, call: Call) -> Any:
        """Of the whole account, whichever contract or currency is named."""
        hedge = _HEDGE.get(-1 if (mode := call.integer("mode")) is None else mode)
        if hedge is None:
            raise invalid("mode")
        return _done(call.account.set_hedge(hedge), position_mode_refusal, {})


def coin_of(desk: Desk) -> str:
    """The one currency of an account: that of the first contract."""
    return next(iter(desk.venue.market.by_id.values())).market.quote


def _done(refused: Reject | None, error: Callable[[Reject], VenueError], result: Any) -> Any:
    if refused is not None:
        raise error(refused)
    return result
