"""No key, secret, signature or listen key is written anywhere, whatever happens (`live.md` 22, `reliability.md`)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bot_cases import LIVELY, PAPER, Yard, with_bot
from local_venue import VenueThread
from trading_cases import KEY, SECRET, eventually, within
from venue_cases import PROTOCOLS

import main
from core import log
from core.clock import ScaledClock
from core.program import run_program
from live.bot import Cycle
from live.loop import Loop

LISTEN_KEYS = {hashlib.blake2b(f"{KEY}:{n}".encode(), digest_size=32).hexdigest() for n in range(1, 40)}
TROUBLES: dict[str, list[dict[str, Any]]] = {
    "bybit": [
        {"action": "timeout", "path": "/v5/order/create", "applied": True},
        {"action": "ret", "code": 10002, "msg": f"time of {KEY}", "path": "/v5/position/list"},
        {"action": "ret", "code": 110007, "msg": f"no margin for {KEY}", "path": "/v5/order/create"},
    ],
    "binance": [
        {"action": "timeout", "path": "/fapi/v1/order", "method": "POST", "applied": True},
        {"action": "ret", "code": -1021, "msg": f"time of {KEY}", "path": "/fapi/v*/account"},
        {"action": "ret", "code": -2019, "msg": f"no margin for {KEY}", "path": "/fapi/v1/order", "method": "POST"},
        {"action": "listen_key_expire"},
    ],
}
OF_BOTH: list[dict[str, Any]] = [
    {"action": "http", "status": 503, "body": f"<html>{KEY} {SECRET}</html>", "method": "GET"},
    {"action": "http", "status": 200, "body": f"<html>{KEY}</html>", "method": "GET"},
    {"action": "disconnect", "method": "GET"},
    {"action": "reset", "method": "GET"},
    {"action": "ws_garbage"},
    {"action": "ws_drop", "code": 1006},
]
CALL = r"method=\w+ endpoint=http://[^/]+(\S+) params=\{.*\} status=.* ms=\d+"
REFUSED = {"bybit": ("/v5/position/list", 10003), "binance": ("/fapi/v*/positionRisk", -2015)}


@pytest.fixture
def _everything_is_logged() -> Iterator[None]:
    """As with `--debug-level 3`."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log.setup(3)
    venue = logging.getLogger("exchange_sim")
    venue.setLevel(logging.CRITICAL)  # what it says of itself is not the bot's
    yield
    venue.setLevel(logging.NOTSET)
    log.setup(0)
    root.handlers[:], root.level = handlers, level


def secrets_in(text: str, signatures: set[str]) -> list[str]:
    return [secret for secret in {KEY, SECRET} | LISTEN_KEYS | signatures if secret in text]


def files_below(folder: Path) -> str:
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def note_signatures(client: Any, signatures: set[str]) -> None:
    """Have a client remember what it signs with."""
    hmac = client.hmac

    def noted(*args: Any) -> Any:
        made = hmac(*args)
        signatures.add(str(made))
        return made

    client.hmac = noted


@pytest.mark.usefixtures("_everything_is_logged")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_written(protocol: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """At level 3, through orders, errors, time-outs, lost streams and a traceback; and every request has its line."""
    signatures: set[str] = set()

    async def case(yard: Yard) -> None:
        bot, cycles = yard.bot, []
        run_cycle, plan = bot.run_cycle, bot.plan
        for client in (bot.exchange.rest, bot.exchange.stream):
            client.timeout = 300
            note_signatures(client, signatures)

        async def noted() -> Cycle:
            cycles.append(None)
            return await run_cycle()

        async def broken() -> Any:
            bot.plan = plan  # type: ignore[method-assign]
            raise ZeroDivisionError(f"with {KEY} and {SECRET} in {bot.exchange.rest.__dict__}")

        bot.run_cycle = noted  # type: ignore[method-assign]
        loop = Loop(bot, yard.clock)
        running = asyncio.create_task(loop.run())
        await eventually(lambda: len(cycles) > 2 and bool(yard.orders))
        yard.sim.clear()
        for trouble in (*OF_BOTH, *TROUBLES[protocol]):
            yard.sim.faults.add_mapping(
                {"action": trouble["action"], "match": {k: v for k, v in trouble.items() if k in ("path", "method")}}
                | {k: v for k, v in trouble.items() if k not in ("path", "method", "action")}
            )
        bot.plan = broken  # type: ignore[method-assign]
        done = len(cycles)
        await within(until(lambda: len(cycles) >= done + 12), 40.0)
        loop.stop()
        await within(running)
        asked.update(request.path for request in yard.sim.requests if not request.path.startswith("/ws"))

    asked: set[str] = set()
    clock = ScaledClock(LIVELY, 10.0)
    with_bot(protocol, tmp_path, case, clock=clock, execution_delay_seconds=0.1)
    written = capfd.readouterr().err
    assert "ZeroDivisionError" in written
    assert "remote_reply" in written
    assert signatures
    assert secrets_in(written, signatures) == []
    assert secrets_in(files_below(tmp_path), signatures) == []
    called = re.findall(
        r"remote_call exchange=\w+ method=\w+ endpoint=http://[^/]+(\S+) params=\{.*\} status=.* ms=\d+", written
    )
    http = {path for path in asked if "/private" not in path and "/public" not in path}
    assert http <= set(called), http - set(called)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("_everything_is_logged")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refused_keys(
    protocol: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole program, whose keys the exchange finds wrong, and says which: status 2, one line without them."""
    monkeypatch.chdir(tmp_path)
    keys = tmp_path / "api-keys.json"
    keys.write_text(json.dumps({"alice": {"exchange": protocol, "key": KEY, "secret": SECRET}}))
    keys.chmod(0o600)
    path, code = REFUSED[protocol]
    with VenueThread() as venue:
        venue.sim.faults.add("ret", code=code, msg=f"Invalid key {KEY}", path=path)
        endpoints = venue.write_endpoints(tmp_path / "endpoints.json")
        words = [str(PAPER), "-u", "alice", "--debug-level", "3", "--custom-endpoints", str(endpoints)]
        assert run_program(main.main, [*words, "--cache-dir", str(tmp_path / "caches")]) == 2
    written = capfd.readouterr().err
    last = written.splitlines()[-1]
    assert last.startswith(f"error: {protocol} refuses the keys of alice in api-keys.json: ")
    assert last.endswith("check key, secret and permissions, and whether they are limited to other addresses")
    assert secrets_in(written + files_below(tmp_path / "caches"), set()) == []
