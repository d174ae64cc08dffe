"""Accounts, their secrets, broker codes, and what a client gets (`config_cli_suite.md` 12, `live.md` 19)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from exchanges.accounts import (
    Account,
    account_of,
    broker_code,
    ccxt_credentials,
    client_config,
    load_account,
    load_broker_codes,
)

ROOT = Path(__file__).parents[1]
SECRET = "s3cr3t-value"


def keys_file(folder: Path, content: Any, mode: int = 0o600) -> Path:
    path = folder / "api-keys.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def account(exchange: str, **fields: Any) -> Account:
    return account_of("me", {"exchange": exchange, **fields})


def test_loading(tmp_path: Path) -> None:
    """The entry of the user; missing fields are empty, extra ones pass through."""
    entry = {"exchange": "BinanceUSDM", "key": "k", "secret": SECRET, "uid": "7"}
    path = keys_file(tmp_path, {"me": entry, "referrals": {"bybit": "x"}, "_comment": "note"})
    got = load_account("me", path)
    assert (got.user, got.exchange, got.quote, got.key, got.secret) == ("me", "binance", "USDT", "k", SECRET)
    assert (got.passphrase, got.wallet_address, got.private_key, got.is_vault) == ("", "", "", False)
    assert (got.fields, got.options) == (entry, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "error loading api keys file {path} it does not exist; copy api-keys.json.example"),
        ('{"me": {"key": "s3cr3t-value" "x"}}', "error loading api keys file {path} it is not JSON: Expecting ','"),
        ("[]", "error loading api keys file {path} it must hold an object"),
        ({"bybit_01": {}}, "user me not found in {path}; it has bybit_01 (live.user, -u)"),
        ({"mee": {}, "_me": {}}, "user me not found in {path}; did you mean mee?"),
        ({"me": "s3cr3t-value"}, "user me not found in {path}; it has no account"),
        ({"me": {"key": "s3cr3t-value"}}, "{path}: user me has no exchange"),
        ({"me": {"exchange": "bybit", "key": 31337}}, "{path}: me.key must be a text in quotes"),
        ({"me": {"exchange": "bybit", "is_vault": "s3cr3t-value"}}, "{path}: me.is_vault must be true or false"),
        ({"me": {"exchange": "kraken", "options": ["s3cr3t-value"]}}, "{path}: me.options must be a mapping"),
    ],
)
def test_errors(tmp_path: Path, content: Any, message: str) -> None:
    """They name file, user and remedy, and hold no value of the file."""
    path = tmp_path / "api-keys.json" if content is None else keys_file(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        load_account("me", path)
    assert str(caught.value).startswith(message.format(path=path))
    assert "s3cr3t" not in str(caught.value)
    assert "31337" not in str(caught.value)
    assert "s3cr3t" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("content", [b"\xff\xfe", b'{"me": '])
def test_file_of_other_bytes(tmp_path: Path, content: bytes) -> None:
    """What is no text, or cut off, is an error as well; a directory too."""
    (tmp_path / "api-keys.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"error loading api keys file .*api-keys\.json it is not"):
        load_account("me", tmp_path / "api-keys.json")
    with pytest.raises(ConfigError, match=r"error loading api keys file .* Is a directory"):
        load_account("me", tmp_path)


@pytest.mark.parametrize("user", ["referrals", "_hidden"])
def test_items_that_are_no_accounts(tmp_path: Path, user: str) -> None:
    """Referrals and names with an underscore are not users."""
    with pytest.raises(ConfigError, match="not found"):
        load_account(user, keys_file(tmp_path, {user: {"exchange": "bybit"}}))


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_file_that_others_can_read(tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool) -> None:
    """A warning names the remedy."""
    path = keys_file(tmp_path, {"me": {"exchange": "bybit"}}, mode)
    with caplog.at_level(logging.WARNING):
        load_account("me", path)
    assert (f"chmod 600 {path}" in caplog.text) is warned


SECRET_FIELDS = ("key", "secret", "passphrase", "wallet_address", "private_key", "apiKey")
secrets = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=12, max_size=20)


@given(
    st.dictionaries(
        st.sampled_from(["key", "secret", "passphrase", "wallet_address", "private_key", "apiKey"]), secrets
    )
)
def test_no_text_of_an_account_has_secrets(fields: dict[str, str]) -> None:
    """Neither repr nor str, alone or within other things."""
    text = f"{account('bybit', **fields, options={'x': 'option-value-of-mine'})!r} {[account('okx', **fields)]}"
    assert not any(value in text for value in fields.values())
    assert "option-value" not in text
    assert "bybit" in text


@pytest.mark.parametrize(
    ("fields", "credentials"),
    [
        ({"exchange": "bybit", "key": "k", "secret": "s"}, {"apiKey": "k", "secret": "s"}),
        ({"exchange": "okx", "api_key": "k", "secret": "s", "passphrase": "p"},
         {"apiKey": "k", "secret": "s", "password": "p"}),
        ({"exchange": "kraken", "quote": "USD", "apiKey": "new", "key": "old", "options": {}, "_note": "x"},
         {"apiKey": "new"}),
        ({"exchange": "foo", "wallet": "w", "private_key": "p", "uid": "u", "secret": ""},
         {"walletAddress": "w", "privateKey": "p", "uid": "u"}),
        ({"exchange": "foo", "wallet_address": "w", "walletAddress": ""}, {"walletAddress": "w"}),
        ({"exchange": "kucoin", "key": "k", "secret": "s", "passphrase": "p", "uid": "u"},
         {"apiKey": "k", "secret": "s", "password": "p"}),
        ({"exchange": "hyperliquid", "wallet_address": "w", "private_key": "p", "is_vault": False, "key": "no"},
         {"walletAddress": "w", "privateKey": "p"}),
        ({"exchange": "paradex", "wallet_address": "w", "private_key": "p"}, {"walletAddress": "w", "privateKey": "p"}),
        ({"exchange": "defx", "key": "k", "secret": "s"}, {"apiKey": "k", "secret": "s"}),
    ],
)  # fmt: skip
def test_names_of_ccxt(fields: dict[str, Any], credentials: dict[str, Any]) -> None:
    """Older names count when the new one is absent or empty; three exchanges read their own fields only."""
    assert ccxt_credentials(account_of("me", fields)) == credentials


@pytest.mark.parametrize(
    ("exchange", "given_quote", "quote"),
    [("bybit", None, "USDT"), ("hyperliquid", None, "USDC"), ("defx", "", "USDC"), ("paradex", None, "USDC"),
     ("kraken", "USD", "USD"), ("hyperliquid", "USDT", "USDT")],
)  # fmt: skip
def test_quotes(exchange: str, given_quote: str | None, quote: str) -> None:
    """The entry's own, else the exchange's."""
    assert account(exchange, quote=given_quote).quote == quote


def test_missing_vault_flag_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """On hyperliquid alone; true makes the wallet address the vault."""
    with caplog.at_level(logging.INFO):
        assert account("hyperliquid").is_vault is False
        assert account("bybit").is_vault is False
    assert caplog.text.count("is_vault is not given") == 1
    vault = account("hyperliquid", wallet_address="0xv", is_vault=True)
    assert client_config(vault)["options"]["vaultAddress"] == "0xv"


@pytest.mark.parametrize(
    ("exchange", "code", "expected"),
    [
        ("binance", "ABC", {"broker": dict.fromkeys(("future", "delivery", "swap", "option"), "x-ABC")}),
        ("bybit", "ABC", {"brokerId": "ABC"}),
        ("kucoin", {"futures": {"partner": "P", "broker-key": "K", "broker-name": "N"}},
         {"partner": {"future": {"id": "P", "secret": "K", "name": "N"}}}),
        ("okx", "ABC", {}),
        ("binance", "", {}),
        ("kucoin", "ABC", {}),
    ],
)  # fmt: skip
def test_broker_options(exchange: str, code: Any, expected: dict[str, Any]) -> None:
    """Where the code is an option of the client."""
    plain = {"adjustForTimeDifference": True, "defaultType": "swap"}
    assert client_config(account(exchange), broker=code)["options"] == plain | expected


def test_client_config() -> None:
    """Options of the account win; the receive window is an option when there is one; some codes are headers."""
    own = account("bybit", key="k", options={"defaultType": "future", "x": 1})
    assert client_config(own, recv_window_ms=5000) == {
        "apiKey": "k",
        "options": {"adjustForTimeDifference": True, "defaultType": "future", "recvWindow": 5000, "x": 1},
    }
    assert client_config(account("gateio"), broker="ABC")["headers"] == {"X-Gate-Channel-Id": "ABC"}
    assert client_config(account("kucoin"), broker={"futures": {"broker-name": "N"}})["headers"] == {
        "KC-BROKER-NAME": "N"
    }
    for name, none in (("gateio", ""), ("kucoin", {"futures": {}}), ("bybit", "ABC")):
        assert "headers" not in client_config(account(name), broker=none)


def test_clients_take_it() -> None:
    """The unmodified client classes find credentials and options where they look for them."""
    fields = {"key": "k", "secret": "s", "passphrase": "p"}
    okx = ccxt.okx(client_config(account("okx", **fields)))
    assert (okx.apiKey, okx.secret, okx.password) == ("k", "s", "p")
    okx.check_required_credentials()
    binance = ccxt.binanceusdm(client_config(account("binance", **fields), broker="ABC", recv_window_ms=3000))
    assert (binance.options["broker"]["swap"], binance.options["recvWindow"]) == ("x-ABC", 3000)
    wallet = {"wallet_address": "0xw", "private_key": "0xp", "is_vault": False}
    ccxt.hyperliquid(client_config(account("hyperliquid", **wallet))).check_required_credentials()


def test_broker_codes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A missing or unreadable file, and a missing entry, count as no code."""
    path = tmp_path / "broker_codes.hjson"
    assert load_broker_codes(path) == {}
    path.write_text("{\n  # mine\n  binanceusdm: ABC\n  kucoin: {futures: {partner: P\n}}\n  odd: 3\n}")
    codes = load_broker_codes(path)
    assert codes == {"binance": "ABC", "kucoin": {"futures": {"partner": "P"}}}
    assert (broker_code(codes, "binance"), broker_code(codes, "binanceusdm"), broker_code(codes, "okx")) == (
        "ABC", "ABC", "",
    )  # fmt: skip
    assert caplog.records == []
    for text in ("{broken", "[1]"):
        path.write_text(text)
        assert load_broker_codes(path) == {}
    assert len(caplog.records) == 2


def test_shipped_example() -> None:
    """Every entry of the example makes an account with credentials."""
    entries = json.loads((ROOT / "api-keys.json.example").read_text())
    for user, entry in entries.items():
        assert ccxt_credentials(account_of(user, entry)), user
