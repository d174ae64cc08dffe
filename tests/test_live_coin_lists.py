"""Markets as the bot knows them, and coin lists that are read again in every cycle (`live.md` 5.3, 6)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from live.choice.coin_lists import CoinLists, CoinSets
from live.choice.market_book import market_book
from live_cases import book_of, entry, symbol, symbols


def read(approved: Any, ignored: Any = "") -> CoinSets:
    return CoinLists(approved, ignored).read(book_of())


def sides(sets: Any) -> tuple[str, str]:
    """Coins of both sides, sorted."""
    return tuple("".join(sorted(name[0] for name in sets[pside])) for pside in ("long", "short"))  # type: ignore[return-value]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "coins.json"


# --- markets


def test_book() -> None:
    """What can be traded, or could while it was active, has trading rules; what cannot is named with the reason."""
    entries = [
        entry("A"),
        entry("B", active=False),
        entry("C", precision={"amount": 0.1}),
        entry("D", active=False, precision={}),
        entry("E", linear=False),
        entry("F", swap=False, active=False),
        entry("G", symbol="G/USDC:USDC", active=False),
    ]
    book = market_book({item["symbol"]: item for item in entries}, "binance", "USDT")
    assert set(book.markets) == symbols("AB")
    assert book.eligible == {symbol("A")}
    reasons = {name[0]: reason for name, reason in book.ineligible.items()}
    assert reasons.pop("C").startswith("market C/USDT:USDT of binance: precision.price is None")
    assert reasons == {
        "B": "not active", "D": "not active", "E": "not linear", "F": "not active", "G": "not active",
    }  # fmt: skip


def test_book_of_paradex() -> None:
    """Its prices are in USD, and it settles in USDC."""
    item = entry("A", symbol="A/USD:USDC", quote="USD")
    book = market_book({"A/USD:USDC": item}, "paradex", "USDC")
    assert (book.eligible, book.symbol("A")) == ({"A/USD:USDC"}, "A/USD:USDC")


@pytest.mark.parametrize(
    ("given", "coin", "name"),
    [
        ("SHIB", "SHIB", "1000SHIB/USDT:USDT"),
        ("1000SHIB/USDT:USDT", "SHIB", "1000SHIB/USDT:USDT"),
        ("1000SHIBUSDT", "SHIB", "1000SHIB/USDT:USDT"),
        ("kPEPE", "PEPE", "kPEPE/USDT:USDT"),
        ("PEPE", "PEPE", "kPEPE/USDT:USDT"),
        ("10000LADYS", "LADYS", "10000LADYS/USDT:USDT"),
        ("FOOUSDC", "FOO", "FOO/USDT:USDT"),
    ],
)
def test_names(given: str, coin: str, name: str) -> None:
    """Coins, symbols and market ids lead to each other; unknown ones to a symbol that is not listed."""
    book = book_of(["1000SHIB", "kPEPE", "10000LADYS"])
    assert (book.coin(given), book.symbol(given)) == (coin, name)


def test_trading_rules() -> None:
    """The contract size of a market, 1 of an unknown one; a smallest order that turned out to be another."""
    book = book_of("AB", A={"contractSize": 0.1})
    assert (book.c_mult(symbol("A")), book.c_mult(symbol("X"))) == (0.1, 1.0)
    changed = book.with_min_cost(symbol("A"), 11.0)
    assert (changed.markets[symbol("A")].min_cost, changed.markets[symbol("B")].min_cost) == (11.0, 5.0)
    assert changed.eligible == book.eligible
    assert book.markets[symbol("A")].min_cost == 5.0


# --- forms


@pytest.mark.parametrize(
    ("source", "long", "short"),
    [
        ("A,B", "AB", "AB"),
        (["A,B", "C"], "ABC", "ABC"),
        (["A/USDT:USDT", "BUSDT"], "AB", "AB"),
        ({"long": "A,B", "short": ["C"]}, "AB", "C"),
        ({"short": [" C ", ""]}, "", "C"),
        ("", "", ""),
        ([""], "", ""),
        ([], "", ""),
        (None, "", ""),
    ],
)
def test_forms(source: Any, long: str, short: str) -> None:
    """Lists, texts and mappings by side; names of any kind; empty ones vanish, and an empty list is told apart."""
    found = read(source)
    assert sides(found.approved) == (long, short)
    assert found.names_none == {"long": not long, "short": not short}


@pytest.mark.parametrize(
    ("content", "long", "short"),
    [
        ('["A", "B"]', "AB", "AB"),
        ('{"long": ["A"], "short": ["B", "C"]}', "A", "BC"),
        ("{\n  long: [\n    A\n  ]\n  short: [\n    B\n  ]\n}", "A", "B"),
        ("[A, B]", "AB", "AB"),
        ('"A"\n"B",\n', "AB", "AB"),
        ("A B,C\nD", "ABCD", "ABCD"),
    ],
)
def test_files(file: Path, content: str, long: str, short: str) -> None:
    """A path, a list of one path, or a path by side; HJSON or plain text."""
    file.write_text(content)
    for source in (str(file), [str(file)], {"long": str(file), "short": str(file)}):
        found = read(source, source)
        assert sides(found.approved) == sides(found.ignored) == (long, short)


def test_untradable_coins(caplog: pytest.LogCaptureFixture) -> None:
    """They are left out with one warning; a list of nothing else is not an empty list."""
    lists = CoinLists("X,A,Y", "Y,B")
    for _ in range(2):
        found = lists.read(book_of())
    assert (sides(found.approved), sides(found.ignored)) == (("A", "A"), ("B", "B"))
    assert [r.getMessage() for r in caplog.records if "not tradable" in r.getMessage()] == [
        "[config] not tradable on binance, left out: X, Y"
    ]
    found = read("X")
    assert (sides(found.approved), found.names_none) == (("", ""), {"long": False, "short": False})
    assert sides(CoinLists("A,B", "").read(book_of("AB", B={"active": False})).approved) == ("A", "A")


@pytest.mark.parametrize("source", ["/nowhere/coins.json", {"both": ["A"]}, {"long": {"a": 1}}, '["A", "B'])
def test_broken_at_first(source: Any) -> None:
    """A list that cannot be read at the start is an error that names the key."""
    for name, given in (("approved_coins", (source, "")), ("ignored_coins", ("", source))):
        with pytest.raises(ConfigError, match=f"live.{name}"):
            CoinLists(*given)


# --- edited while the bot runs


def test_edits(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An edited file counts in the next cycle; what was added and removed is told by list and side."""
    caplog.set_level(logging.INFO)
    file.write_text("A,B")
    lists = CoinLists({"long": str(file), "short": []}, str(file))
    lists.read(book_of())
    caplog.clear()
    file.write_text("B,C,D")
    assert sides(lists.read(book_of()).approved) == ("BCD", "")
    assert [record.getMessage() for record in caplog.records] == [
        "[config] added to approved_coins long: C,D",
        "[config] removed from approved_coins long: A",
        "[config] added to ignored_coins long: C,D",
        "[config] removed from ignored_coins long: A",
        "[config] added to ignored_coins short: C,D",
        "[config] removed from ignored_coins short: A",
    ]
    caplog.clear()
    lists.read(book_of())
    assert not caplog.records


BROKEN = ['{"long": ["A"', '["C", "D', "C,]", "{}", '{"long": ["C"], "short": ["D"], "more": []}', None]


@pytest.mark.parametrize("content", BROKEN)
def test_broken_edits(file: Path, caplog: pytest.LogCaptureFixture, content: str | None) -> None:
    """Half a file, or none, changes nothing but the log, once for each fault; a whole one counts again."""
    file.write_text('["A", "B"]')
    lists = CoinLists(str(file), str(file))
    lists.read(book_of())
    for _ in range(2):
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(content)
        found = lists.read(book_of())
        assert sides(found.approved) == sides(found.ignored) == ("AB", "AB")
        assert not found.names_none["long"]
    warnings = [record.getMessage() for record in caplog.records if "as last read" in record.getMessage()]
    assert [text.partition("live.")[2][:8] for text in warnings] == ["approved", "ignored_"]
    file.write_text("C")
    assert sides(lists.read(book_of()).approved) == ("C", "C")
    if content is not None:  # the same fault again is news
        caplog.clear()
        file.write_text(content)
        lists.read(book_of())
        assert caplog.text.count("as last read") == 2
    caplog.clear()
    file.write_text('["C')
    lists.read(book_of())
    assert len([record for record in caplog.records if "as last read" in record.getMessage()]) == 2


def test_a_list_that_becomes_empty(file: Path) -> None:
    """An editor empties a file before it writes: an empty list, which may mean every coin, has to be read twice."""
    file.write_text("A")
    lists = CoinLists({"long": str(file), "short": "B"}, "")
    lists.read(book_of())
    file.write_text("")
    assert lists.read(book_of()).names_none == {"long": False, "short": False}
    file.write_text("A,C")
    assert sides(lists.read(book_of()).approved) == ("AC", "B")
    file.write_text("")
    assert sides(lists.read(book_of()).approved) == ("AC", "B")
    found = lists.read(book_of())
    assert (sides(found.approved), found.names_none) == (("", "B"), {"long": True, "short": False})
    assert sides(lists.read(book_of()).approved) == ("", "B")
