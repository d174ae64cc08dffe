"""Accounts as plain JSON and back (`exchange_simulator.md` 12). Fills are apart, since they are appended to a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from math import isfinite
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from core.errors import DataError
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Fill, Order, Position

Record = TypeVar("Record", Fill, Order, Position)

_PLAIN = ("key", "wallet", "default_leverage", "hedge", "margin_mode", "last_order_id", "last_fill_id")
_MEMBERS = (*_PLAIN, "leverage", "client_ids", "positions", "open_orders")


def dump_account(account: Account) -> dict[str, Any]:
    """Wallet, modes, leverage, positions, open orders, counters and used client ids; no fills and no closed orders."""
    return {
        **{name: getattr(account, name) for name in _PLAIN},
        "leverage": dict(account.leverage),
        "client_ids": list(account.client_ids),
        "positions": [asdict(position) for position in account.positions.values()],
        "open_orders": [asdict(order) for order in account.open_orders.values()],
    }


def load_account(content: Any, fills: Iterable[Fill] = (), where: str = "account") -> Account:
    """The account of `dump_account` with its fills. Raises DataError naming the member that is wrong."""
    _check_members(content, _MEMBERS, where)
    hints = get_type_hints(Account)
    account = Account(**{name: _value(content[name], hints[name], f"{where}: {name}") for name in _PLAIN})
    leverage = _value(content["leverage"], dict, f"{where}: leverage")
    account.leverage.update(
        {symbol: _value(x, float, f"{where}: leverage of {symbol}") for symbol, x in leverage.items()}
    )
    ids = _value(content["client_ids"], list, f"{where}: client_ids")
    account.client_ids.extend(_value(client_id, str, f"{where}: client_ids") for client_id in ids)
    for entry in _value(content["positions"], list, f"{where}: positions"):
        account.put_position(load_record(Position, entry, f"{where}: position"))
    for entry in _value(content["open_orders"], list, f"{where}: open_orders"):
        order = load_record(Order, entry, f"{where}: open order")
        account.open_orders[order.id] = order
    for fill in fills:
        account.add_fill(fill)
    return account


def load_record(kind: type[Record], content: Any, where: str) -> Record:
    """A record from what `dataclasses.asdict` made of it. Raises DataError naming the member that is wrong."""
    hints = get_type_hints(kind)
    _check_members(content, tuple(field.name for field in fields(kind)), where)
    return kind(**{name: _value(value, hints[name], f"{where}: {name}") for name, value in content.items()})


def _check_members(content: Any, names: tuple[str, ...], where: str) -> None:
    if not isinstance(content, Mapping):
        raise DataError(f"{where} is {type(content).__name__}, an object is needed; remove the state to start afresh")
    missing, unknown = sorted(set(names) - set(content)), sorted(set(content) - set(names))
    if missing or unknown:
        wrong = f"lacks {missing[0]}" if missing else f"has the unknown member {unknown[0]}"
        raise DataError(f"{where} {wrong}; the state is damaged or of another version, remove it to start afresh")


def _value(value: Any, hint: Any, where: str) -> Any:
    """The value if it is what the annotation says; whole numbers are fine where fractions are."""
    if get_origin(hint) is Literal:
        right = value in get_args(hint)
    elif hint is float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        value = float(value) if right else value
    else:
        right = type(value) is hint
    if not right:
        wanted = " or ".join(map(repr, get_args(hint))) or hint.__name__
        raise DataError(f"{where} is {value!r}, {wanted} is needed; remove the state to start afresh")
    return value
