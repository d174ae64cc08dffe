"""No secret in a log line, an error text or a traceback (`live.md` 22)."""

from __future__ import annotations

import logging

import pytest

from core import log, redaction
from core.errors import RunError
from core.program import run_program
from core.redaction import hide, redacted

KEY = 'fDJfwkSw"/+aGV93L=7'


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())


@pytest.mark.parametrize(
    "text",
    [
        f"a key: {KEY}",
        "https://x/y?symbol=BTC&k=fDJfwkSw%22%2F%2BaGV93L%3D7&b=1",
        r'{"text": "fDJfwkSw\"/+aGV93L=7"}',
    ],
)
def test_registered_texts(text: str) -> None:
    """As they are, in URLs and in JSON."""
    hide(KEY, "", "abc")
    assert "fDJfwkSw" not in redacted(text)
    assert redacted("abc is no secret") == "abc is no secret"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("binance GET /fapi/v1/order?symbol=BTC&time=17&signature=0a1b2c&x=1", "symbol=BTC&time=17&signature=***&x=1"),
        ("Authorization: Bearer eyJhbGciOi.J9 sent", "Authorization: *** sent"),
        ("{'X-MBX-APIKEY': 'abcdef', 'Referer': 'me'}", "{'X-MBX-APIKEY': '***', 'Referer': 'me'}"),
        ('{"listenKey":"pqia91ma19a5s61c","a":1}', '{"listenKey":"***","a":1}'),
        ("headers X-BAPI-SIGN: 77aa88, X-BAPI-TIMESTAMP: 12", "headers X-BAPI-SIGN: ***, X-BAPI-TIMESTAMP: 12"),
        ("OK-ACCESS-PASSPHRASE=hush more", "OK-ACCESS-PASSPHRASE=*** more"),
        ("wss://fstream.binance.com/ws/pqia91ma19a5s61cv6a81va65sdf19v8 closed", "/ws/*** closed"),
        ("endpoint exchange=binance key=api.fapiPublic old=x", "exchange=binance key=api.fapiPublic old=x"),
    ],
)  # fmt: skip
def test_named_values(text: str, left: str) -> None:
    """What a client makes of keys is known by its name; what is around it stays."""
    assert redacted(text).endswith(left)


@pytest.mark.parametrize(
    "text",
    [
        "bot.long.ema_span_0 is 'x', a number is needed",
        "[order] BTC post buy long 0.5@97000.0 entry_grid_normal_long",
        "unknown key foo in config.json",
        "the design: signs of 3 tokens",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    """Lines without a secret are not touched."""
    assert redacted(text) == text


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Time in UTC without zone, level, prefix, message; secrets in messages and tracebacks are blotted out."""
    hide(KEY)
    log.setup(1, "[bybit]")
    try:
        try:
            raise ValueError(f"cannot sign with {KEY}")
        except ValueError:
            logging.getLogger("x").exception("it failed: %s", KEY)
    finally:
        log.setup(0)
    told = capsys.readouterr().err
    assert "fDJfwkSw" not in told
    assert "Traceback" in told
    stamp, level, *rest = told.splitlines()[0].split(maxsplit=2)
    assert (len(stamp), stamp[10], level, rest) == (19, "T", "ERROR", ["[bybit] it failed: ***"])


def test_error_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The line that ends a program has none either."""
    hide(KEY)

    def main(_: object) -> int:
        raise RunError(f"refused: apiKey={KEY}")

    assert run_program(main, []) == 1
    assert capsys.readouterr().err == "error: refused: apiKey=***\n"
