"""Paper trading as a new user does it: one command, a fresh directory, no network (`exchange_simulator.md` 2)."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from bots import PAPER, PaperBot, account, comes_true, is_running, orders, positions
from programs import run_program

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) +(paper:\[\w+\] )?\S")
POST = r"\[order\] post [A-Z]+/USDT:USDT: "


def still_market(folder: Path) -> Path:
    """A config: what crosses is filled at once and what rests never is, so that nothing moves while nobody looks."""
    config = json.loads(PAPER.read_text())
    config["live"] |= {"market_orders_allowed": True, "order_match_tolerance_pct": 0.01}
    config["paper"] |= {"fill_model": "probabilistic", "fill_probability": 0}
    path = folder / "still.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("protocol", ["bybit", "binance"])
def test_first_orders(protocol: str, tmp_path: Path) -> None:
    """From nothing to the first orders; SIGTERM ends it with status 0, no order after it, and the venue goes too."""
    started = time.monotonic()
    with PaperBot(tmp_path, protocol) as bot:
        bot.wait_for(POST)
        print(f"\n{protocol}: first orders after {time.monotonic() - started:.1f} s")  # noqa: T201
        bot.wait_for(r"\[health\] ")
        assert bot.send(signal.SIGTERM) == 0
        assert bot.venue is not None
        assert comes_true(lambda: not is_running(bot.venue or 0))
        assert all(map(LINE.match, bot.lines)), bot.text
        for words in (
            f"paper:[{protocol}] [boot] PAPER TRADING \N{EN DASH} no real orders",
            "[boot] SYNTHETIC DATA: these prices are made up",
            "[fills] initializing FillEventsManager",
            f"[boot] {protocol}:paper_{protocol} | LONG + SHORT | 3L/3S | TWEL 90% long, 60% short",
            "[boot] READY - Bot initialization complete",
            "[status] balance ",
        ):
            assert words in bot.text
        assert bot.text.index("[boot] starting bot") < bot.text.index("[boot] READY")
        after = bot.text.partition("[shutdown] SIGTERM: no more orders, closing")[2]
        assert after.strip().endswith("[shutdown] done; open orders stay on the exchange")
        assert "[order]" not in after
        assert "ERROR" not in bot.text
        assert "Traceback" not in bot.text
        assert orders(tmp_path) or positions(tmp_path)
        paper = tmp_path / "caches" / "paper"
        assert list((tmp_path / "caches").iterdir()) == [paper], "real caches are not touched"


def test_kill(tmp_path: Path) -> None:
    """After SIGKILL the venue goes as well; the next start finds the same positions and orders and adds none twice."""
    config = still_market(tmp_path)
    with PaperBot(tmp_path, config=config) as bot:
        bot.wait_for(r"close_grid_")
        bot.send(signal.SIGKILL)
        assert comes_true(lambda: not is_running(bot.venue or 0))
    held, resting = positions(tmp_path), orders(tmp_path)
    assert held
    assert resting
    with PaperBot(tmp_path, config=config) as bot:
        bot.wait_for(r"\[fills\] \d+ fills in ")
        status = bot.wait_for(r"\[status\] balance ")
        assert f"| {len(resting)} open orders" in status
        bot.wait_for(r"\[health\] ")
        shown = {
            (coin, pside, float(size)) for coin, pside, size in re.findall(r"\[status\] (\w+) (\w+) (\S+) @", bot.text)
        }
        assert shown == {
            (symbol.partition("/")[0], pside, -size if pside == "short" else size) for symbol, pside, size in held
        }
        assert "second bot" not in bot.text
        assert bot.send(signal.SIGTERM) == 0
    kept = orders(tmp_path)
    assert len(set(kept.values())) == len(kept), "the same order twice"
    assert held <= {(s, p, size) for s, p, size in positions(tmp_path)}


def test_dry_run(tmp_path: Path) -> None:
    """Everything is planned and told, nothing is ordered or set."""
    with PaperBot(tmp_path, "--dry-run") as bot:
        assert "dry run: [order] would post" in bot.wait_for("would post")
        bot.wait_for(r"\[health\] .* orders=\+0/-0")
        assert bot.send(signal.SIGINT) == 0
        assert "[boot] DRY RUN: nothing is ordered, cancelled or set on the exchange" in bot.text
        assert "[order] post" not in bot.text
    if list(tmp_path.rglob("account.json")):
        kept = account(tmp_path)
        assert (kept["open_orders"], kept["positions"], kept["last_order_id"], kept["leverage"]) == ([], [], 0, {})


def test_second_signal(tmp_path: Path) -> None:
    """A second signal ends the bot at once, also when the exchange does not answer."""
    with PaperBot(tmp_path) as bot:
        bot.wait_for(r"\[health\] ")
        assert bot.venue is not None
        os.kill(bot.venue, signal.SIGSTOP)
        try:
            bot.process.send_signal(signal.SIGTERM)
            bot.wait_for(r"\[shutdown\] SIGTERM")
            assert bot.send(signal.SIGTERM) == 128 + signal.SIGTERM
        finally:
            os.kill(bot.venue, signal.SIGCONT)
        assert comes_true(lambda: not is_running(bot.venue or 0))


def test_reset(tmp_path: Path) -> None:
    """An account of another market is refused until it is forgotten; what is no account is never removed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    words = (PAPER, "--paper", "--paper-state")
    told = run_program("main.py", *words, "mine", "--paper-reset", cwd=tmp_path, expect=2).stderr
    assert "--paper-reset: mine holds no paper account (venue.json is missing); nothing is removed" in told
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep me"
    with PaperBot(tmp_path, "--paper-state", "account", "--paper-balance", "777") as bot:
        bot.wait_for(r"\[status\] balance 777.00")
        bot.send(signal.SIGTERM)
    other = run_program("main.py", *words, "account", "--paper-seed", "5", cwd=tmp_path, expect=2).stderr
    assert error_line(other).startswith(
        "error: the paper account in account was started with data_seed 0, not 5: forget"
    )
    with PaperBot(tmp_path, "--paper-state", "account", "--paper-seed", "5", "--paper-reset") as bot:
        bot.wait_for(r"\[boot\] the paper account in account is forgotten")
        bot.wait_for(r"\[status\] balance 1000.00")
        assert bot.send(signal.SIGTERM) == 0


def error_line(stderr: str) -> str:
    (line,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-u", "nobody"], ["nobody", "api-keys.json"]),
        (["--paper", "kraken"], ["kraken"]),
        (["--paper", "--paper-data", "replay"], ["paper.start is missing", "--paper-start"]),
        (["--paper", "--paper-data", "live", "--paper-speed", "5"], ["paper.speed", "own speed"]),
        (["--paper", "--paper-fees", "0.1"], ["paper.fees", "two fractions"]),
        (["--paper", "--paper-data", "no/such/place"], ["no/such/place"]),
        (["--paper", "--live.leverage", "much"], ["live.leverage", "'much'", "number"]),
        (["--paper", "--live.approved_coins", "lists/none.json"], ["live.approved_coins", "lists/none.json"]),
    ],
)
def test_errors(args: list[str], words: list[str], tmp_path: Path) -> None:
    """Status 2 and one line that names what is wrong; nothing keeps running."""
    (tmp_path / "api-keys.json").write_text(
        json.dumps({"alice": {"exchange": "bybit", "key": "k" * 9, "secret": "s" * 9}})
    )
    (tmp_path / "api-keys.json").chmod(0o600)
    told = run_program("main.py", PAPER, *args, "--log-level", "0", cwd=tmp_path, expect=2).stderr
    line = error_line(told)
    for word in words:
        assert word in line
    assert "Traceback" not in told


def test_empty_store(tmp_path: Path) -> None:
    """Who has no candles yet is told of the market that needs none."""
    told = run_program("main.py", PAPER, "--paper", "--paper-data", "cache", cwd=tmp_path, expect=1).stderr
    assert "--paper-data sample" in error_line(told)


def test_help(tmp_path: Path) -> None:
    """The options of the specification are listed; `--help-all` adds a flag for every key."""
    short = run_program("main.py", "--help", cwd=tmp_path).stdout
    for option in ("--live.user", "--custom-endpoints", "--debug-level", "--log-level", "--verbose", "--dry-run",
                   "--paper-reset", "--paper-data", "--skip-rust-compile"):  # fmt: skip
        assert option in short
    full = run_program("main.py", "--help-all", cwd=tmp_path).stdout
    for option in (
        "--live.execution_delay_seconds",
        "--bot.short.ema_span_0",
        "--logging.memory_snapshot_interval_minutes",
    ):
        assert option in full
        assert option not in short
