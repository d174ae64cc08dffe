"""The page over stored fills without a browser: accounts, view, figures, callbacks, who is let in."""

from __future__ import annotations

import json
from pathlib import Path

import fill_events_dash
import pytest
from dash.exceptions import PreventUpdate

from core.clock import DAY_MS, ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError, UsageError
from core.paths import all_fills_dir, fills_dir
from core.program import run_program
from dashboards.fills import figures
from dashboards.fills.accounts import Accounts
from dashboards.fills.app import Page, make_app
from dashboards.fills.view import Choice, coins_of, fill_rows, health_rows, shown, tiles
from dashboards.look import LIGHT
from fill_examples import write_fills
from live.fills.show import coin_of

NOW = date_to_ts("2026-03-20T12:00")
ALICE, BOB = "bybit:alice", "okx:bob"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("caches")
    write_fills(root, "bybit", "alice", NOW, 20)
    write_fills(root, "okx", "bob", NOW - DAY_MS, 10, seed=1)
    return root


@pytest.fixture
def accounts(cache: Path) -> Accounts:
    return Accounts(all_fills_dir(cache))


def test_accounts(tmp_path: Path) -> None:
    """Those on disk, or some of them; read again when files change; a name is never a path."""
    write_fills(tmp_path, "bybit", "alice", NOW, 2)
    accounts = Accounts(all_fills_dir(tmp_path))
    assert accounts.names() == [ALICE]
    first = accounts.get(ALICE)
    assert accounts.get(ALICE) is first
    write_fills(tmp_path, "bybit", "alice", NOW, 3)
    assert len(accounts.get(ALICE).events) > len(first.events)
    (tmp_path / "metadata.json").write_text("{}")
    for name in ("..:..", "bybit:../alice", "bybit:alice/..", "", "bybit", "okx:alice"):
        with pytest.raises(UsageError, match="there are no fills of"):
            accounts.get(name)
    assert Accounts(all_fills_dir(tmp_path), ["bob"]).names() == []


def test_view(accounts: Accounts) -> None:
    """Accounts, days (both ends count), coins and side restrict what is shown."""
    everything = shown(accounts, Choice([ALICE, BOB]))
    assert [len(events) for events in everything.by_account.values()] == [240, 120]
    some = shown(accounts, Choice([ALICE], "2026-03-10", "2026-03-11", ["PEPE", "BTC"], "long")).events
    assert {event.day for event in some} == {"2026-03-10", "2026-03-11"}
    assert {(coin_of(event.symbol), event.position_side) for event in some} == {("PEPE", "long"), ("BTC", "long")}
    assert shown(accounts, Choice([ALICE], coins=["NOBODY"])).events == []
    assert coins_of(accounts, [ALICE, BOB]) == ["BTC", "ETH", "PEPE", "SOL"]
    with pytest.raises(ConfigError, match="Unable to parse date"):
        shown(accounts, Choice([ALICE], "soon"))


def test_texts(accounts: Accounts) -> None:
    """Sums on top; the newest fills first; what is covered."""
    view = shown(accounts, Choice([ALICE]))
    sums = tiles(view)
    assert (sums["fills"], sums["coins"], sums["fees"]) == ("240", "4", "9.6 USDT")
    assert float(sums["pnl"]) == pytest.approx(sum(event.pnl for event in view.events), abs=0.01)
    rows = fill_rows(view)
    assert len(rows) == 240
    assert rows[0]["time"] > rows[1]["time"]
    assert rows[0]["account"] == ALICE
    ((name, fills, _, last, covered, gaps, state),) = health_rows(accounts, [ALICE])
    assert (name, fills, last[:10], gaps, state) == (ALICE, "240", "2026-03-20", "0 / 0", "complete")
    assert covered == "2026-02-28 to 2026-03-20"
    assert tiles(shown(accounts, Choice([])))["closes with profit"] == "–"


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """The page shows what is left, and says that something is missing."""
    write_fills(tmp_path, "bybit", "alice", NOW, 3)
    next(fills_dir(tmp_path, "bybit", "alice").glob("2026-*.json")).write_text("[")
    assert health_rows(Accounts(all_fills_dir(tmp_path)), [ALICE])[0][-1] == "files are damaged or missing"


def test_figures(accounts: Accounts) -> None:
    """Running sum by account, bars by day and name, positions with shorts below zero, triangles; words for nothing."""
    view = shown(accounts, Choice([ALICE, BOB]))
    lines = figures.cumulative(view.by_account, LIGHT).data
    assert [line.name for line in lines] == [ALICE, BOB]
    assert lines[0].y[-1] == pytest.approx(sum(event.pnl for event in view.by_account[ALICE]))
    days = figures.by_day(view.events, LIGHT).data[0]
    assert (days.x[0], len(days.x)) == ("2026-02-28", 21)
    assert sum(days.y) == pytest.approx(sum(event.pnl for event in view.events))
    assert sum(figures.fees_by_day(view.events, LIGHT).data[0].y) == pytest.approx(360 * 0.04)
    coins = figures.by_name(view.events, lambda event: coin_of(event.symbol), LIGHT).data[0]
    assert sorted(coins.y) == ["BTC", "ETH", "PEPE", "SOL"]
    assert list(coins.x) == sorted(coins.x)
    held = {line.name: line.y for line in figures.positions(view.by_account, LIGHT).data}
    assert min(held[f"{ALICE} BTC short"]) < 0.0 <= max(held[f"{ALICE} BTC long"])
    btc = shown(accounts, Choice([ALICE], coins=["BTC"]))
    marks = figures.trades(btc.by_account, LIGHT).data
    assert [mark.name for mark in marks] == ["buy", "sell", f"{ALICE} long", f"{ALICE} short"]
    assert len(marks[0].x) + len(marks[1].x) == len(btc.events)
    for nothing in (
        figures.cumulative({}, LIGHT), figures.by_day([], LIGHT), figures.fees_by_day([], LIGHT),
        figures.by_name([], lambda event: event.id, LIGHT), figures.positions({}, LIGHT), figures.trades({}, LIGHT),
    ):  # fmt: skip
        assert nothing.layout.annotations[0].text.startswith("no ")


def test_callbacks(accounts: Accounts) -> None:
    """The account with the newest fill comes first; the last days include today; one coin where none is chosen."""
    page = Page(accounts, ManualClock(NOW))
    assert page.names(None, None)[:2] == ([ALICE, BOB], [ALICE])
    assert page.names(1, [BOB, "gone:away"])[1] == [BOB]
    assert (page.span(7), page.span(0)) == (("2026-03-14", None), (None, None))
    with pytest.raises(PreventUpdate):
        page.span(None)
    choice = ([ALICE], None, None, None, "both")
    (coin,) = page.with_coin(choice)[3]
    assert coin in coins_of(accounts, [ALICE])
    assert page.with_coin(([ALICE], None, None, ["SOL"], "both"))[3] == ["SOL"]
    for draw in (page.cumulative, page.by_day, page.fees, page.by_coin, page.by_type, page.trades, page.positions):
        assert draw("dark", *choice).data
    assert len(page.tables(*choice)[1]) == 240


def test_requests(accounts: Accounts) -> None:
    """Strangers are refused, and names that lead out of the directory; the page loads nothing from elsewhere."""
    client = make_app(accounts, ManualClock(NOW)).server.test_client()
    local = {"Host": "127.0.0.1:8050"}
    page = client.get("/", headers=local)
    assert page.status_code == 200
    assert b"https://" not in page.data and b"http://" not in page.data
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    asked = {
        "output": "coins.options", "outputs": {"id": "coins", "property": "options"},
        "changedPropIds": ["accounts.value"],
        "inputs": [{"id": "accounts", "property": "value", "value": ["../..:x"]}],
    }  # fmt: skip
    reply = client.post("/_dash-update-component", json=asked, headers=local)
    assert "there are no fills of" in reply.get_data(as_text=True)
    assert (
        client.post("/_dash-update-component", json=asked, headers=local | {"Origin": "http://x.y"}).status_code == 403
    )


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--port", "70000"], 2, "--port is 70000"),
        (["--users", "carol"], 2, "there are no fills of carol below"),
        (["--port", "1", "--host", "203.0.113.1"], 1, "cannot serve on 203.0.113.1:1"),
    ],
)
def test_program(words: list[str], status: int, told: str, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What goes wrong is one line."""
    assert run_program(fill_events_dash.main, ["--cache-dir", str(cache), *words]) == status
    assert told in capsys.readouterr().err


def test_downloads(accounts: Accounts) -> None:
    """What is shown, as JSON of the same form as the program's."""
    client = make_app(accounts, ManualClock(NOW)).server.test_client()
    state = [("accounts", [ALICE]), ("first-day", "2026-03-20"), ("last-day", None), ("coins", []), ("pside", "both")]
    asked = {
        "output": "download.data", "outputs": {"id": "download", "property": "data"},
        "changedPropIds": ["json.n_clicks"],
        "inputs": [{"id": name, "property": "n_clicks", "value": 1} for name in ("csv", "json")],
        "state": [{"id": name, "property": "value", "value": value} for name, value in state],
    }  # fmt: skip
    reply = client.post("/_dash-update-component", json=asked, headers={"Host": "localhost"}).get_json()
    file = reply["response"]["download"]["data"]
    assert file["filename"] == "fills.json"
    content = json.loads(file["content"])
    assert content["account"] == ALICE and {fill["datetime"][:10] for fill in content["fills"]} == {"2026-03-20"}
