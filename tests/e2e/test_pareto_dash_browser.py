"""The dashboard in a headless Chromium, as a user sees it; what it saves is then run by the backtester."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from programs import REPOSITORY, only_result, run_program

from front_examples import SCORING, write_run
from optimization.members import read_members
from runs.front_selection import select

TABS = ("Overview", "Explorer", "Closest to ideal", "Scenarios", "Hold-out", "Compare", "Export")
WAIT_MS = 60_000  # a slow machine is no failure


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a plain run, a suite that was validated (the newest), and a backtest."""
    root = tmp_path_factory.mktemp("place")
    write_run(root / "optimize_results", count=25, suite=True, holdout=True, name="2026-01-02_suite")
    write_run(root / "optimize_results", count=12, name="2026-01-01_plain", seed=3)
    folder = root / "backtests" / "sample" / "one"
    folder.mkdir(parents=True)
    (folder / "analysis.json").write_text(json.dumps(dict.fromkeys(SCORING, 0.25)))
    return root


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    """The program, started as a user starts it, on a free port."""
    command = [sys.executable, "-u", str(REPOSITORY / "src" / "tools" / "pareto_dash.py"), "--port", "0"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        words = server.stdout.readline().split()
        assert words[:2] == ["serving", "on"], words
        yield words[2]
        server.terminate()


@pytest.fixture
def troubles() -> list[str]:
    """What the page complained about: errors, failed requests, requests to elsewhere."""
    return []


@pytest.fixture
def page(browser: Browser, address: str, troubles: list[str]) -> Iterator[Page]:
    """The page on the suite's run, at 1440 x 900; it must not complain."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page = context.new_page()
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("response", lambda reply: troubles.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None)
    page.on("request", lambda request: troubles.append(request.url) if elsewhere(request.url, address) else None)
    page.goto(address)
    expect(page.locator("#passing")).to_have_text("25 / 25 pass (100%)")
    yield page
    assert troubles == []
    expect(page.locator("#notice")).to_be_hidden()
    context.close()


def elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))


def choose(page: Page, identity: str, option: str) -> None:
    """Pick an option of a dropdown."""
    page.locator(f"#{identity}").click()
    page.locator(".dash-dropdown-content").get_by_text(option, exact=True).first.click()


def open_tab(page: Page, name: str) -> None:
    page.locator(".tab", has_text=name).click()
    expect(page.locator(".tab-selected")).to_have_text(name)


def click_point(page: Page, graph: str, number: int) -> None:
    """Click a point of a flat scatter where it stands."""
    box = points(page, graph).nth(number).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def points(page: Page, graph: str) -> Locator:
    return page.locator(f"#{graph} .scatterlayer .trace").first.locator(".point")


@pytest.mark.parametrize("run", ["2026-01-02_suite", "2026-01-01_plain"])
def test_every_tab_opens(page: Page, run: str) -> None:
    """With and without scenarios and hold-out: each tab shows its figures and tables; nothing runs off the side."""
    if run.endswith("plain"):
        choose(page, "run", run)
        expect(page.locator("#passing")).to_contain_text("12 / 12")
    seen = {
        "Overview": "#front .scatterlayer .point", "Explorer": "#members td", "Closest to ideal": "#nearest td",
        "Scenarios": "#scenario-boxes .main-svg", "Hold-out": "#in-out .main-svg", "Compare": "#radar .main-svg",
        "Export": "#preview",
    }  # fmt: skip
    for width in (1440, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        for tab in TABS:
            open_tab(page, tab)
            expect(page.locator(seen[tab]).first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (tab, width)
    texts = {"Scenarios": "#scenario-table", "Hold-out": "#holdout-note"}
    for tab, place in texts.items():
        open_tab(page, tab)
        missing = "without a suite" if tab == "Scenarios" else "not been validated"
        if run.endswith("plain"):
            expect(page.locator(place)).to_contain_text(missing)
        else:
            expect(page.locator(place)).not_to_contain_text(missing)


def test_filters_and_selection(page: Page) -> None:
    """Filter text, presets, frontier and a click on a point change what is shown."""
    selected = page.locator("#selection code")
    first = selected.inner_text()
    click_point(page, "front", 0)
    expect(selected).not_to_have_text(first)
    page.locator("#filter").fill("adg_pnl >= 0.0012\nnonsense")
    expect(page.locator("#passing")).not_to_contain_text("25 / 25")
    expect(page.locator("#filter-note")).to_have_text("1 line not understood")
    count = int(page.locator("#passing").inner_text().split()[0])
    assert 0 < count < 25
    expect(points(page, "front")).to_have_count(count)
    page.locator("#clear").click()
    expect(page.locator("#passing")).to_contain_text("25 / 25")
    page.locator("#preset-limits").click()
    expect(page.locator("#filter")).to_have_value("drawdown_worst_usd<=0.9\nadg_pnl_mean>=0.0001\n"
                                                  "loss_profit_ratio>=0\nloss_profit_ratio<=0.95")  # fmt: skip
    page.get_by_text("Frontier", exact=True).click()
    page.get_by_text("show only").click()
    expect(page.locator("#passing")).not_to_contain_text("25 / 25")
    page.get_by_text("3D", exact=True).click()
    expect(page.locator("#front .gl-container canvas").first).to_be_visible()


def test_a_slider_adds_a_line(page: Page) -> None:
    """A moved end narrows the range; clearing moves it back."""
    page.get_by_text("Ranges", exact=True).click()
    thumb = page.locator("#range-0").get_by_role("slider").first
    thumb.focus()
    thumb.press("PageUp")
    expect(page.locator("#filter-note")).to_contain_text("adg_pnl >= ")
    page.locator("#clear").click()
    expect(page.locator("#filter-note")).to_have_text("")
    expect(page.locator("#passing")).to_contain_text("25 / 25")


def test_weights_move_the_ideal(page: Page, place: Path) -> None:
    """Other weights, another mode: another member is closest, that of `pareto_store.py`; it can be selected."""
    members = read_members(place / "optimize_results" / "2026-01-02_suite" / "pareto")
    expected = select(members, [0, 1, 2], "weighted", (1.0, 0.0, 1.0)).closest.id[:12]
    open_tab(page, "Closest to ideal")
    closest = page.locator("#closest code")
    first = closest.inner_text()
    fields = page.locator("#ideal-weights input")
    expect(fields).to_have_count(3)
    for field, weight in zip(fields.all(), ("1", "0", "1"), strict=True):
        field.fill(weight)
        field.press("Enter")
    expect(closest).to_have_text(expected)
    assert expected != first
    page.locator("#choose-closest").click()
    expect(page.locator("#nearest tr.chosen th")).to_have_text(expected)
    choose(page, "mode", "min")
    expect(closest).to_have_text(first)


def test_scenarios_and_holdout_follow_their_pickers(page: Page) -> None:
    """Another metric is drawn."""
    page.get_by_text("Scenarios", exact=True).first.click()
    choose(page, "scenario-metric", "gain_usd")
    open_tab(page, "Scenarios")
    expect(page.locator("#scenario-boxes .ytitle")).to_have_text("gain_usd")
    open_tab(page, "Hold-out")
    expect(page.locator("#holdout-note")).to_contain_text("0.42")
    choose(page, "holdout-metric", "gain_usd")
    expect(page.locator("#in-out .ytitle")).to_have_text("gain_usd, last_20pct")


def test_table_rows_select(page: Page) -> None:
    """A click in the table of configs selects; its columns sort."""
    open_tab(page, "Explorer")
    cell = page.locator("#members td[data-dash-column='config']").nth(3)
    name = cell.inner_text()
    cell.click()
    open_tab(page, "Overview")
    expect(page.locator("#selection code")).to_have_text(name.strip())


def test_comparing_configs_and_a_backtest(page: Page) -> None:
    """Two configs and a backtest: a line each in the radar, a column each in the table."""
    open_tab(page, "Compare")
    page.locator("#add-selected").click()
    expect(page.locator("#compare-metrics thead th")).to_have_count(2)
    open_tab(page, "Overview")
    before = page.locator("#selection code").inner_text()
    click_point(page, "front", 1)
    expect(page.locator("#selection code")).not_to_have_text(before)
    open_tab(page, "Compare")
    page.locator("#add-selected").click()
    expect(page.locator("#compare-metrics thead th")).to_have_count(3)
    expect(page.locator("#compare-parameters")).to_contain_text("long ema_span_0")
    choose(page, "backtest", "sample/one")
    expect(page.locator("#compare-metrics thead th").last).to_have_text("backtest sample/one")
    expect(page.locator("#radar .scatterlayer .trace, #radar .polarlayer .trace.scatter")).to_have_count(3)


def test_colours_change_and_stay(page: Page) -> None:
    """Light or dark, remembered by the browser."""
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.locator("#theme-button").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    expect(page.locator("#passing")).to_contain_text("25 / 25")


def test_a_file_that_is_no_member(page: Page, place: Path) -> None:
    """It is named on top of the page; another run still opens."""
    stray = place / "optimize_results" / "2026-01-01_plain" / "pareto" / "stray.json"
    stray.write_text("{}")
    choose(page, "run", "2026-01-01_plain")
    expect(page.locator("#notice")).to_contain_text("stray.json is no member of a Pareto front")
    stray.unlink()
    choose(page, "run", "2026-01-02_suite")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_saved_config_runs(page: Page, place: Path) -> None:
    """What Export saves is a complete config that the backtester runs; a bad name is refused in words."""
    open_tab(page, "Export")
    expect(page.locator("#preview")).to_contain_text('"bot"')
    page.locator("#save-name").fill("../out.json")
    page.locator("#save").click()
    expect(page.locator("#saved .error")).to_contain_text("leads out of configs")
    page.locator("#save-name").fill("found/best.json")
    page.locator("#save").click()
    expect(page.locator("#saved")).to_contain_text("./passivbot backtest configs/found/best.json")
    with page.expect_download() as download:
        page.locator("#download-button").click()
    assert download.value.suggested_filename.startswith("config_")
    assert list(json.loads(download.value.path().read_text())) == ["bot"]
    saved = json.loads((place / "configs" / "found" / "best.json").read_text())
    run_program("backtest.py", "configs/found/best.json", "-dp", "--backtest.base_dir", "ran", cwd=place)
    ran = json.loads((only_result(place / "ran") / "config.json").read_text())
    assert ran["bot"] == saved["bot"]
