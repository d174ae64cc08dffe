"""The page over stored fills in a headless Chromium, as a user sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from programs import REPOSITORY

from core.clock import DAY_MS, SystemClock
from fill_examples import write_fills

WAIT_MS = 60_000  # a slow machine is no failure


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the fills of two accounts, up to now."""
    root = tmp_path_factory.mktemp("place")
    now = SystemClock().now_ms()
    write_fills(root / "caches", "bybit", "alice", now, 60)
    write_fills(root / "caches", "okx", "bob", now - DAY_MS, 10, seed=1)
    return root


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    """The program, started as a user starts it, on a free port."""
    command = [sys.executable, "-u", str(REPOSITORY / "src" / "tools" / "fill_events_dash.py"), "--port", "0"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        words = server.stdout.readline().split()
        assert words[:2] == ["serving", "on"], words
        yield words[2]
        server.terminate()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page at 1440 x 900; it must not complain, nor ask anything of elsewhere."""
    troubles: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page = context.new_page()
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("response", lambda reply: troubles.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None)
    own = (address, "data:", "blob:")
    page.on("request", lambda request: troubles.append(request.url) if not request.url.startswith(own) else None)
    page.goto(address)
    expect(tile(page, "coins")).to_have_text("4")
    yield page
    assert troubles == []
    expect(page.locator("#notice")).to_be_hidden()
    context.close()


def tile(page: Page, name: str) -> Locator:
    """The number above a name on top of the page."""
    return page.locator("#tiles > div").filter(has=page.get_by_text(name, exact=True)).locator("strong")


def number(page: Page, name: str) -> float:
    return float(tile(page, name).inner_text().replace(",", ""))


def open_tab(page: Page, name: str) -> None:
    page.locator(".tab", has_text=name).click()
    expect(page.locator(".tab-selected")).to_have_text(name)


def choose(page: Page, identity: str, option: str) -> None:
    """Pick an option of a dropdown, and close it."""
    page.locator(f"#{identity}").click()
    page.locator(".dash-dropdown-content").get_by_text(option, exact=True).first.click()
    page.keyboard.press("Escape")


def test_every_tab(page: Page, tmp_path: Path) -> None:
    """Each tab shows its figures and tables; nothing runs off the side."""
    for graph in ("cumulative", "by-day", "fees", "by-coin", "by-type"):
        expect(page.locator(f"#{graph} .trace").first).to_be_attached()
    open_tab(page, "Coin")
    for graph in ("trades", "positions"):
        expect(page.locator(f"#{graph} .trace").first).to_be_attached()
    open_tab(page, "Fills")
    expect(page.locator("#fills tbody")).to_contain_text("close_grid_long")
    open_tab(page, "Health")
    expect(page.locator("#health")).to_contain_text("bybit:alice")
    expect(page.locator("#health")).to_contain_text("complete")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.screenshot(path=tmp_path / "page.png")


def test_choices(page: Page) -> None:
    """Days, accounts, coins and side restrict what is counted."""
    thirty = number(page, "fills")
    page.get_by_text("all", exact=True).click()
    expect(tile(page, "fills")).to_have_text("720")
    page.get_by_text("7", exact=True).click()
    expect(tile(page, "fills")).not_to_have_text("720")
    assert 0 < number(page, "fills") < thirty < 720
    page.get_by_text("all", exact=True).click()
    choose(page, "accounts", "okx:bob")
    expect(tile(page, "fills")).to_have_text("840")
    choose(page, "coins", "PEPE")
    expect(tile(page, "coins")).to_have_text("1")
    both = number(page, "fills")
    page.get_by_text("short", exact=True).click()
    expect(tile(page, "fills")).not_to_have_text(f"{both:g}")
    assert 0 < number(page, "fills") < both < 840


def test_download(page: Page) -> None:
    """What is shown, as a file."""
    with page.expect_download() as info:
        page.get_by_role("button", name="JSON").click()
    content = json.loads(Path(info.value.path()).read_text())
    assert len(content["fills"]) == number(page, "fills")


def test_a_wrong_day(browser: Browser, address: str) -> None:
    """It is said on top of the page, until the day is a right one."""
    page = browser.new_page()
    page.goto(address)
    expect(tile(page, "coins")).to_have_text("4", timeout=WAIT_MS)
    for day, hidden in (("soon", False), ("2026-01-01", True)):
        page.locator("#first-day").fill(day)
        page.locator("#first-day").press("Enter")
        expect(page.locator("#notice")).to_be_visible(visible=not hidden, timeout=WAIT_MS)
        if not hidden:
            expect(page.locator("#notice")).to_contain_text("Unable to parse date string 'soon'")
    page.close()
