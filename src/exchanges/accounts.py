"""Accounts from `api-keys.json`, broker codes, and what an exchange client gets of both.

`config_cli_suite.md` 12, `live.md` 19. Keys and secrets are in no text that an error, a log line or a repr holds.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from config.text import UTF_8, parse_hjson
from core.errors import ConfigError
from core.redaction import hide
from markets.symbols import quote_currency, short_exchange

logger = logging.getLogger(__name__)

API_KEYS_FILE = Path("api-keys.json")
BROKER_CODES_FILE = Path("broker_codes.hjson")

BrokerCodes: TypeAlias = Mapping[str, str | Mapping[str, Any]]

# ccxt's names <- the names of our own file; the first that is there counts.
_CCXT_NAMES = {
    "apiKey": ("apiKey", "key", "api_key"),
    "secret": ("secret",),
    "password": ("password", "passphrase"),
    "walletAddress": ("walletAddress", "wallet", "wallet_address"),
    "privateKey": ("privateKey", "private_key"),
}
# These exchanges read their own fields and nothing else.
_OWN_FIELDS = {
    "kucoin": {"apiKey": "key", "secret": "secret", "password": "passphrase"},
    "hyperliquid": {"walletAddress": "wallet_address", "privateKey": "private_key"},
    "paradex": {"walletAddress": "wallet_address", "privateKey": "private_key"},
}
_NOT_FOR_CCXT = {"exchange", "options", "quote", "is_vault"} | {n for names in _CCXT_NAMES.values() for n in names}
_TEXT_FIELDS = ("exchange", "key", "secret", "passphrase", "wallet_address", "private_key", "quote")
_SECRET_FIELDS = [n for own, names in _CCXT_NAMES.items() if own != "walletAddress" for n in (own, *names)]
_BINANCE_MARKETS = ("future", "delivery", "swap", "option")


@dataclass(frozen=True, slots=True)
class Account:
    """One entry of the key file. Missing fields are empty; `fields` is the whole entry, extra fields included.

    The repr shows user, exchange and quote only.
    """

    user: str
    exchange: str
    quote: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    wallet_address: str = field(repr=False)
    private_key: str = field(repr=False)
    is_vault: bool = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)


def load_account(user: str, path: Path = API_KEYS_FILE) -> Account:
    """The account of a name. Raises ConfigError naming the file, and never a value of it."""
    accounts = _read(path)
    entry = accounts.get(user)
    if not isinstance(entry, dict) or not _is_user(user):
        raise ConfigError(f"user {user} not found in {path}{_hint(user, accounts)}")
    if not entry.get("exchange"):
        raise ConfigError(f'{path}: user {user} has no exchange; add one, e.g. "exchange": "bybit"')
    return account_of(user, entry, path)


def account_of(user: str, entry: Mapping[str, Any], path: Path = API_KEYS_FILE) -> Account:
    """The record of one entry, whose secrets no log shows from now on.

    Raises ConfigError naming a field of a wrong kind, but not its value.
    """
    texts = {name: _text(entry, name, f"{path}: {user}.{name}") for name in _TEXT_FIELDS}
    exchange = short_exchange(texts.pop("exchange").strip())
    options = entry.get("options") or {}
    if not isinstance(options, dict):
        raise ConfigError(f"{path}: {user}.options must be a mapping of client options")
    hide(*(str(entry.get(name) or "") for name in _SECRET_FIELDS))
    return Account(
        user=user,
        exchange=exchange,
        quote=quote_currency(exchange, texts.pop("quote").strip()),
        is_vault=_is_vault(entry, exchange, f"{path}: {user}.is_vault"),
        options=options,
        fields=dict(entry),
        **texts,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding=UTF_8))
    except FileNotFoundError as exc:
        remedy = "it does not exist; copy api-keys.json.example and fill it in"
        raise ConfigError(f"error loading api keys file {path} {remedy}") from exc
    except OSError as exc:
        raise ConfigError(f"error loading api keys file {path} {exc.strerror or 'cannot be read'}") from exc
    except json.JSONDecodeError as exc:
        cause = f"it is not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}"
        raise ConfigError(f"error loading api keys file {path} {cause}") from None  # the cause holds the whole text
    except UnicodeDecodeError as exc:
        cause = f"it is not UTF-8 text (byte {exc.start})"
        raise ConfigError(f"error loading api keys file {path} {cause}") from None  # as above
    except RecursionError as exc:
        raise ConfigError(f"error loading api keys file {path} it is nested too deeply") from exc
    if not isinstance(content, dict):
        raise ConfigError(f"error loading api keys file {path} it must hold an object: account name -> entry")
    _warn_if_readable(path)
    return content


def _warn_if_readable(path: Path) -> None:
    """Warn when others than the owner may read the file, where the system knows owners."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        logger.warning("%s can be read by other users of this machine: chmod 600 %s", path, path)


def _is_user(name: str) -> bool:
    return name != "referrals" and not name.startswith("_")


def _hint(user: str, accounts: Mapping[str, Any]) -> str:
    import difflib  # only needed for a hint

    names = sorted(name for name, entry in accounts.items() if _is_user(name) and isinstance(entry, dict))
    close = difflib.get_close_matches(user, names, n=1)
    if close:
        return f"; did you mean {close[0]}? (live.user, -u)"
    return f"; it has {', '.join(names) or 'no account'} (live.user, -u)"


def _text(entry: Mapping[str, Any], name: str, path: str) -> str:
    value = entry.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{path} must be a text in quotes")
    return value


def _is_vault(entry: Mapping[str, Any], exchange: str, path: str) -> bool:
    value = entry.get("is_vault")
    if value is None or value == "":
        if exchange == "hyperliquid":
            logger.info("%s is not given: taken for false, the account's own wallet", path)
        return False
    if not isinstance(value, bool):
        raise ConfigError(f"{path} must be true or false")
    return value


# --- for the client ---


def ccxt_credentials(account: Account) -> dict[str, Any]:
    """The account's fields under ccxt's names; empty ones, and those that ccxt does not know, are left out.

    Further fields of the entry (such as `uid`) pass as they are.
    """
    if account.exchange in _OWN_FIELDS:
        given = {name: account.fields.get(own) for name, own in _OWN_FIELDS[account.exchange].items()}
    else:
        given = {name: _first(account.fields, names) for name, names in _CCXT_NAMES.items()}
        given |= {n: v for n, v in account.fields.items() if n not in _NOT_FOR_CCXT and not n.startswith("_")}
    return {name: value for name, value in given.items() if value not in (None, "")}


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def client_config(
    account: Account, *, broker: str | Mapping[str, Any] = "", recv_window_ms: int | None = None
) -> dict[str, Any]:
    """What a ccxt client is constructed with: credentials, options, broker code. The account's own options win.

    Not in it are broker codes that belong to single orders: the ids of bitget and okx.
    """
    options: dict[str, Any] = {"adjustForTimeDifference": True, "defaultType": "swap"}
    if recv_window_ms:
        options["recvWindow"] = recv_window_ms
    if account.exchange == "hyperliquid" and account.is_vault:
        options["vaultAddress"] = account.wallet_address
    options |= _broker_options(account.exchange, broker)
    config = ccxt_credentials(account) | {"options": options | dict(account.options)}
    headers = _broker_headers(account.exchange, broker)
    return config | ({"headers": headers} if headers else {})


def _broker_headers(exchange: str, broker: str | Mapping[str, Any]) -> dict[str, Any]:
    if exchange == "gateio" and broker:
        return {"X-Gate-Channel-Id": broker}
    if exchange == "kucoin" and isinstance(broker, Mapping) and isinstance(broker.get("futures"), Mapping):
        name = broker["futures"].get("broker-name")
        return {"KC-BROKER-NAME": name} if name else {}
    return {}


def _broker_options(exchange: str, broker: str | Mapping[str, Any]) -> dict[str, Any]:
    if exchange == "binance" and isinstance(broker, str) and broker:
        return {"broker": dict.fromkeys(_BINANCE_MARKETS, f"x-{broker}")}
    if exchange == "bybit" and broker:
        return {"brokerId": broker}
    if exchange == "kucoin" and isinstance(broker, Mapping) and isinstance(broker.get("futures"), Mapping):
        futures = broker["futures"]
        names = {"id": "partner", "secret": "broker-key", "name": "broker-name"}
        return {"partner": {"future": {name: futures.get(own, "") for name, own in names.items()}}}
    return {}


def load_broker_codes(path: Path = BROKER_CODES_FILE) -> dict[str, str | Mapping[str, Any]]:
    """`{exchange: code | object}`; a missing file is none, an unreadable one as well, with a warning."""
    try:
        content = parse_hjson(path.read_text(encoding=UTF_8), str(path))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, ConfigError):
        logger.warning("%s cannot be read: no broker codes are used", path)
        return {}
    if not isinstance(content, dict):
        logger.warning("%s must map exchanges to codes: no broker codes are used", path)
        return {}
    return {short_exchange(name): code for name, code in content.items() if isinstance(code, str | dict)}


def broker_code(codes: BrokerCodes, exchange: str) -> str | Mapping[str, Any]:
    """The code of an exchange, or an empty text."""
    return codes.get(short_exchange(exchange), "")
