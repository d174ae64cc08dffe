"""The paper account's directory and the venue's process (`exchange_simulator.md` 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import main
from config.paper_settings import PaperSettings, paper_settings
from config.schema import defaults
from core.clock import ScaledClock, SystemClock
from core.errors import ConfigError, RunError
from core.redaction import redacted
from exchange_sim.paper import LOG_FILE, VENUE_FILE, caches_of, forget, paper_venue, write_venue_file

CANDLES = Path("real/caches")


def settings(state: Path, **changes: Any) -> PaperSettings:
    config = defaults()
    config["paper"] = {"data": "sample", "state": str(state), **changes}
    return paper_settings(config)


def described(state: Path, **changes: Any) -> dict[str, Any]:
    """What the venue is told."""
    state.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = json.loads(write_venue_file(settings(state, **changes), state, CANDLES).read_text())
    return content


def test_description(tmp_path: Path) -> None:
    """Every setting reaches the venue; what is not stated is left to it."""
    assert described(tmp_path / "a") == {
        "protocols": ["bybit"], "data": "sample", "data_seed": 0, "exchange": "bybit", "cache_dir": str(CANDLES),
        "speed": 1, "balance": 1000, "fill_model": "strict", "fill_probability": 1.0, "participation": 0.1,
        "slippage": 0.0002, "liquidation": False, "state_dir": str(tmp_path / "a" / "accounts"),
    }  # fmt: skip
    full = described(
        tmp_path / "b", protocol="binance", balance=5000, data="synthetic", seed=7, speed=60, fill_model="touch",
        fees=[0.0001, 0.0004], funding={"rate": 0.0001}, liquidation=True, end="2025-03-01",
    )  # fmt: skip
    assert full["protocols"] == ["binance"]
    assert (full["exchange"], full["data"], full["data_seed"], full["speed"]) == ("binance", "sample", 7, 60)
    assert (full["balance"], full["fill_model"], full["liquidation"]) == (5000, "touch", True)
    assert full["fees"] == {"maker": 0.0001, "taker": 0.0004}
    assert full["funding"] == {"rate": 0.0001}
    assert full["end"] == "2025-03-01"


def test_description_of_stored_candles(tmp_path: Path) -> None:
    """A replay runs in its own time, the cache in today's: the moment of the first start is kept."""
    replay = described(tmp_path / "a", data="replay", start="2025-03-01")
    assert (replay["data"], replay["start"]) == ("cache", "2025-03-01")
    assert "redate_ms" not in replay
    cache = described(tmp_path / "b", data="cache", start="2025-03-01")
    assert cache["redate_ms"] % 60_000 == 0
    assert abs(cache["redate_ms"] - SystemClock().now_ms()) < 120_000
    assert (cache["redate_from"], "start" in cache) == ("2025-03-01", False)
    file = tmp_path / "b" / VENUE_FILE
    file.write_text(json.dumps({**cache, "redate_ms": 60_000}))
    assert described(tmp_path / "b", data="cache", start="2025-03-01")["redate_ms"] == 60_000
    live = described(tmp_path / "c", data="live")
    assert (live["data"], "redate_ms" in live) == ("live", False)
    assert described(tmp_path / "d", data="my/candles")["data"] == "my/candles"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "data_seed 0, not 1"),
        ({"protocol": "binance"}, r"protocols \['bybit'\], not \['binance'\]"),
        ({"data": "my/candles"}, "data 'sample', not 'my/candles'"),
        ({"end": "2025-03-01"}, "end None, not '2025-03-01'"),
        ({"fees": [0.0, 0.0]}, "fees None, not"),
    ],
)
def test_another_market(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    """An account does not change its market; balance, speed and fills may change."""
    before = described(tmp_path)
    with pytest.raises(ConfigError, match=f"the paper account in .* was started with {words}.*--paper-reset"):
        described(tmp_path, **changes)
    assert json.loads((tmp_path / VENUE_FILE).read_text()) == before
    assert described(tmp_path, balance=2000, speed=2, fill_model="touch")["balance"] == 2000


def test_damaged_account(tmp_path: Path) -> None:
    """A file that cannot be read is told with the way out; one of another kind is written anew."""
    (tmp_path / VENUE_FILE).write_text("{")
    with pytest.raises(ConfigError, match="--paper-reset"):
        described(tmp_path)
    (tmp_path / VENUE_FILE).write_text("[]")
    assert described(tmp_path)["balance"] == 1000


def test_forget(tmp_path: Path) -> None:
    """All of an account goes; a directory that is none stays as it is."""
    account = tmp_path / "account"
    described(account)
    (account / "caches").mkdir()
    forget(account)
    assert not account.exists()
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no paper account"):
        forget(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_caches(tmp_path: Path) -> None:
    """The bot's caches lie in the account's directory."""
    assert caches_of(settings(tmp_path)) == tmp_path / "caches"


def test_banner() -> None:
    """What nobody must overlook."""
    head = ["[boot] PAPER TRADING \N{EN DASH} no real orders", "[boot] market: here"]
    assert main.paper_banner(False, "here") == head
    assert main.paper_banner(True, "here") == [*head, "[boot] SYNTHETIC DATA: these prices are made up"]


@pytest.mark.parametrize(("speed", "clock"), [(1, SystemClock), (30, ScaledClock)])
def test_process(speed: float, clock: type, tmp_path: Path) -> None:
    """The venue answers while the context lasts, in its own time, and not after it; its token is a secret."""
    state = tmp_path / "account"
    with paper_venue(settings(state, speed=speed), CANDLES) as venue:
        assert isinstance(venue.clock, clock)
        assert "sample market" in venue.note
        with urlopen(f"{venue.url}/v5/market/time", timeout=10) as reply:
            assert json.load(reply)["retCode"] == 0
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{venue.url}/v5/market/time", timeout=10)
    assert (state / LOG_FILE).exists()
    assert redacted(venue.url) == venue.url
    with paper_venue(settings(state, seed=3), CANDLES, reset=True):
        assert json.loads((state / VENUE_FILE).read_text())["data_seed"] == 3


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"data": "no/such/place"}, ConfigError, "the simulated exchange: .*no/such/place"),
        ({"data": "cache"}, RunError, "the simulated exchange: .*--paper-data sample"),
    ],
)
def test_venue_that_does_not_start(changes: Any, error: type[Exception], words: str, tmp_path: Path) -> None:
    """Its own words, as the kind of error that it is."""
    with pytest.raises(error, match=words), paper_venue(settings(tmp_path / "account", **changes), tmp_path):
        pass


def test_error_inside(tmp_path: Path) -> None:
    """The venue ends with whatever ends the bot."""
    with pytest.raises(ZeroDivisionError), paper_venue(settings(tmp_path / "account"), CANDLES) as venue:
        raise ZeroDivisionError
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{venue.url}/v5/market/time", timeout=10)


def test_one_bot_an_account(tmp_path: Path) -> None:
    """A second venue over the same account is refused while the first runs, and not after it."""
    with (
        paper_venue(settings(tmp_path / "a"), CANDLES),
        pytest.raises(ConfigError, match="is in use by another bot"),
        paper_venue(settings(tmp_path / "a"), CANDLES, reset=True),
    ):
        pass
    assert (tmp_path / "a" / VENUE_FILE).exists()
    with paper_venue(settings(tmp_path / "a"), CANDLES):
        pass
