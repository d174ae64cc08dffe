"""Reading files and reading keys (`config_cli_suite.md` 1, 21, 23)."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import config_utils
from config.access import optional_config_value, require_config_value, set_config_value
from config.dump import dump_config, strip_metadata
from config.load import load_config
from config.text import parse_hjson, parse_json
from core import paths
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError, MissingKeyError
from core.program import run_program

CLOCK = ManualClock(date_to_ts("2026-11-21T07:58"))
REFERENCE = (
    "01_btc_long_grid_only", "02_eth_long_trailing", "03_sol_hedge_long_short", "04_xrp_one_way_long_short",
    "05_forager_5_coins_unstuck", "06_overrides_btc_collateral",
)  # fmt: skip


def changes_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    (details,) = [entry["details"] for entry in config["_transform_log"] if entry["step"] == "format_config"]
    return details["changes"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[610.0, 1e3, -0.0, 12345678901234567890.0, 1.5]", [610, 1000, 0, 12345678901234567890.0, 1.5]),
        (
            "a: 1 # c\nb: text // no comment in a quoteless text\n",
            {"a": 1, "b": "text // no comment in a quoteless text"},
        ),
        ('{"a": 1, /* c */ "a": 2,}', {"a": 2}),
        ("{a: NaN\n b: Infinity\n}", {"a": "NaN", "b": "Infinity"}),
        ('{"a": [1, 2\n3]}', {"a": [1, 2, 3]}),
    ],
)
def test_hjson(text: str, expected: Any) -> None:
    """Comments, free commas, the last of equal keys, integral floats become ints, NaN is no number."""
    value = parse_hjson(text, "x")
    assert value == expected
    assert repr(value) == repr(expected)


@pytest.mark.parametrize("text", ['{"a": [1, 2}', "{a: 1e400\n}", "]", '{"a" 1}'])
def test_malformed_text_names_its_origin(text: str) -> None:
    with pytest.raises(ConfigError, match=r"my\.json"):
        parse_hjson(text, "my.json")


@pytest.mark.parametrize("text", ["[NaN]", "[Infinity]", "[1,]"])
def test_json_of_the_command_line(text: str) -> None:
    """JSON on the command line is strict."""
    with pytest.raises(ConfigError, match="is not JSON"):
        parse_json(text, "limits")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    """A missing file is also a FileNotFoundError; both errors name the path."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        load_config(tmp_path / "nowhere.json")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(ConfigError, match=r"latin\.json is not UTF-8"):
        load_config(tmp_path / "latin.json")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        load_config(tmp_path)


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_configs(shared: Path, name: str) -> None:
    """The only change recorded is the added base path; the raw file is kept; formatting again changes nothing."""
    path = shared / "reference_configs" / f"{name}.json"
    config = load_config(path, clock=CLOCK)
    assert [(c["action"], c["path"]) for c in changes_of(config)] == [("add", "live.base_config_path")]
    assert config["live"]["base_config_path"] == str(path)
    assert [entry["step"] for entry in config["_transform_log"]] == ["load_config", "format_config"]
    assert config["_raw"] == parse_hjson(path.read_text(), name)


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_configs_survive_a_round_trip(shared: Path, tmp_path: Path, name: str) -> None:
    """Loaded, written and loaded again they are the same config, the base path apart."""
    config = load_config(shared / "reference_configs" / f"{name}.json", clock=CLOCK)
    dump_config(config, tmp_path / "again.json")
    again = load_config(tmp_path / "again.json", clock=CLOCK)
    assert changes_of(again) == []
    assert again["live"]["base_config_path"] == str(tmp_path / "again.json")
    for either in (config, again):
        del either["live"]["base_config_path"]
    assert strip_metadata(again) == strip_metadata(config)


def test_config_of_another_program(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """What a web interface writes: the template's keys, a section of its own, coins forced to exchanges."""
    content = json.loads(paths.TEMPLATE_CONFIG.read_text())
    content["pbgui"] = {"version": 12, "note": "kept", "enabled_on": "here"}
    content["backtest"] |= {"coin_sources": {"BTC": "binance"}, "base_dir": "backtests/pbgui/a"}
    content["live"]["approved_coins"] = {"long": ["BTC", "ETH"], "short": []}
    content["optimize"]["compress_results_file"] = True
    (tmp_path / "config_run.json").write_text(json.dumps(content))
    config = load_config(tmp_path / "config_run.json", clock=CLOCK)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [change["path"] for change in changes_of(config)] == ["live.base_config_path"]
    assert config["pbgui"] == content["pbgui"]
    dump_config(config, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["pbgui"] == content["pbgui"]


def test_front_of_the_package() -> None:
    """Every name of `config_utils` is there, and leads to the function of that name."""
    for name in config_utils.__all__:
        assert getattr(config_utils, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such"):
        config_utils.no_such  # noqa: B018


def test_missing_key_ends_a_program_with_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader's complaint is one line and the user's to correct (21)."""

    def main(argv: Sequence[str]) -> int:
        require_config_value({"live": {}}, "live.user")
        return 0

    assert run_program(main, []) == 2
    assert capsys.readouterr().err == "error: config missing required key 'live.user'\n"


def test_byte_order_mark(tmp_path: Path) -> None:
    """Some editors put one in front; it is no part of the text."""
    bare = {"bot": {"long": {}, "short": {}}, "live": {"user": "me"}}
    (tmp_path / "c.json").write_text(json.dumps(bare), encoding="utf-8-sig")
    assert load_config(tmp_path / "c.json", clock=CLOCK)["live"]["user"] == "me"


def test_shipped_template() -> None:
    """Loading it adds the coin sources and the base path and removes nothing; no suite, no compressed cache."""
    config = load_config(clock=CLOCK)
    assert [(c["action"], c["path"]) for c in changes_of(config)] == [
        ("add", "backtest.coin_sources"),
        ("add", "live.base_config_path"),
    ]
    assert config["live"]["base_config_path"] == "configs/template.json"
    assert config["backtest"]["suite"]["enabled"] is False
    assert config["backtest"]["compress_cache"] is False
    assert config["backtest"]["end_date"] == "2026-11-19"
    assert len(config["live"]["approved_coins"]["long"]) == 22


def test_reading_keys() -> None:
    """A missing key is named by its path; optional keys have their default; writing makes mappings on the way."""
    config: dict[str, Any] = {"live": {"user": "x"}, "a": {"b": 3}}
    assert require_config_value(config, "live.user") == "x"
    with pytest.raises(KeyError, match=r"^config missing required key 'live\.leverage'$"):
        require_config_value(config, "live.leverage")
    with pytest.raises(MissingKeyError, match=r"^config path a/b is not a dict \(required for 'a\.b\.c'\)$"):
        require_config_value(config, "a.b.c")
    assert optional_config_value(config, "live.foreign_orders") == "cancel"
    set_config_value(config, "paper.balance", 5)
    assert optional_config_value(config, "paper.balance") == 5
