"""Settings of single coins (`config_cli_suite.md` 11, 23)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from config.load import load_config
from config.modes import expand_forced_mode, forced_modes
from config.normalize import format_config
from config.overrides import resolve_coin_overrides
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError

CLOCK = ManualClock(date_to_ts("2026-11-21"))


def resolved(overrides: dict[str, Any], base_config_path: str = "") -> Any:
    config = {"bot": {"long": {"ema_span_0": 700}, "short": {}}, "live": {}, "coin_overrides": overrides}
    formatted = format_config(config, base_config_path=base_config_path, clock=CLOCK)
    result = resolve_coin_overrides(formatted, clock=CLOCK)
    again = resolve_coin_overrides(result, clock=CLOCK)
    assert again["coin_overrides"] == result["coin_overrides"]
    return result["coin_overrides"]


def test_only_allowed_keys_count() -> None:
    """Values equal to the base stay, keys that cannot be overridden go, tokens are kept as written."""
    override = {
        "bot": {"long": {"ema_span_0": 700, "n_positions": 3, "wallet_exposure_limit": 0.3}},
        "live": {"user": "x", "forced_mode_long": "m"},
    }
    assert resolved({"BTC": override}) == {
        "BTC": {"bot": {"long": {"ema_span_0": 700, "wallet_exposure_limit": 0.3}}, "live": {"forced_mode_long": "m"}}
    }


def test_keys_are_coin_names(caplog: pytest.LogCaptureFixture) -> None:
    """Symbols become coins, a later key replaces an earlier one of the same coin, what names no coin is dropped."""
    overrides = {
        "BTCUSDT": {"live": {"leverage": 2}}, "BTC": {"live": {"leverage": 1}}, "USDT": {"live": {"leverage": 3}},
    }  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert resolved(overrides) == {"BTC": {"live": {"leverage": 2}}}
    assert "coin_overrides.USDT is dropped" in caplog.text


def test_files_are_patches(tmp_path: Path) -> None:
    """A file counts for the keys it holds, older names included; the inline entry beats it (E9)."""
    patch = {"bot": {"long": {"entry_grid_spacing_weight": 3, "wallet_exposure_limit": 0.2, "ema_span_1": 9}}}
    (tmp_path / "patch.json").write_text(json.dumps(patch))
    (tmp_path / "live.hjson").write_text("{live: {leverage: 4}}")
    inline = {"override_config_path": "patch.json", "bot": {"long": {"ema_span_1": 5}}}
    only_live = {"override_config_path": str(tmp_path / "live.hjson")}
    got = resolved({"ADA": inline, "XRP": only_live}, base_config_path=str(tmp_path / "config.json"))
    assert got["ADA"] == {
        "bot": {"long": {"wallet_exposure_limit": 0.2, "ema_span_1": 5, "entry_grid_spacing_we_weight": 3}}
    }
    assert got["XRP"] == {"live": {"leverage": 4}}


@pytest.mark.parametrize("content", [None, "[1, 2", '{"bot": {"long": {"ema_span_0": "x"}}}'])
def test_bad_files_are_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "f.json").write_text(content)
    override = {"override_config_path": "f.json", "live": {"leverage": 2}}
    with caplog.at_level(logging.ERROR):
        got = resolved({"BTC": override}, base_config_path=str(tmp_path / "config.json"))
    assert got == {"BTC": {"live": {"leverage": 2}}}
    assert "coin_overrides.BTC.override_config_path" in caplog.text


def test_reference_overrides(shared: Path) -> None:
    """The sample config with a file and inline entries."""
    config = load_config(shared / "reference_configs" / "06_overrides_btc_collateral.json", clock=CLOCK)
    result = resolve_coin_overrides(config, clock=CLOCK)
    got = result["coin_overrides"]
    assert got["ETH"] == {
        "bot": {
            "long": {"ema_span_0": 610, "entry_grid_spacing_pct": 0.024, "wallet_exposure_limit": 0.4},
            "short": {"entry_initial_qty_pct": 0.02},
        },
        "live": {"forced_mode_short": "gs", "leverage": 4},
    }
    xrp = got["XRP"]
    assert {pside: len(xrp["bot"][pside]) for pside in xrp["bot"]} == {"long": 30, "short": 29}
    differing = {
        pside: {key: value for key, value in side.items() if value != config["bot"][pside].get(key)}
        for pside, side in xrp["bot"].items()
    }
    assert differing == {
        "long": {
            "close_grid_qty_pct": 0.5, "ema_span_1": 1500, "entry_grid_spacing_pct": 0.031, "unstuck_threshold": 0.9,
            "wallet_exposure_limit": 0.25, "close_grid_markup_start": 0.016,
        },
        "short": {"entry_initial_qty_pct": 0.008},
    }  # fmt: skip
    assert xrp["live"] == {"forced_mode_long": "normal", "leverage": 3}
    assert result["_transform_log"][-1]["details"] == {"coins": ["ETH", "XRP"]}


@pytest.mark.parametrize(
    ("tokens", "mode"),
    [
        (("n", "NORMAL"), "normal"),
        (("m", "Manual"), "manual"),
        (("gs", "graceful_stop", "graceful-stop"), "graceful_stop"),
        (("P", "panic"), "panic"),
        (("t", "tp", "tp_only", "tp-only "), "tp_only"),
        (("", None), None),
    ],
)
def test_forced_mode_words(tokens: tuple[Any, ...], mode: str | None) -> None:
    assert [expand_forced_mode(token, "x") for token in tokens] == [mode] * len(tokens)


@pytest.mark.parametrize("token", ["normally", 3, " "])
def test_unknown_mode_words(token: Any) -> None:
    """They are errors at load that name the key (F6)."""
    with pytest.raises(ConfigError, match=r"live\.forced_mode_long"):
        expand_forced_mode(token, "live.forced_mode_long")


def test_own_mode_beats_the_global_one() -> None:
    live = {"forced_mode_long": "p", "forced_mode_short": ""}
    modes = forced_modes(live, {"BTC": {"live": {"forced_mode_long": "", "forced_mode_short": "gs"}}})
    assert (modes.of("BTC", "long"), modes.of("BTC", "short")) == (None, "graceful_stop")
    assert (modes.of("ETH", "long"), modes.of("ETH", "short")) == ("panic", None)


@pytest.mark.parametrize(
    ("everywhere", "own", "approved", "mode"),
    [
        ("", None, True, None),
        ("", None, False, "graceful_stop"),
        ("n", None, True, "graceful_stop"),
        ("n", "n", True, "normal"),
        ("p", None, True, "panic"),
        ("p", "", True, None),
        ("p", "", False, "graceful_stop"),
        ("", "m", False, "manual"),
        ("gs", "tp", True, "tp_only"),
    ],
)
def test_modes_in_backtests(everywhere: str, own: str | None, approved: bool, mode: str | None) -> None:
    """The coin's own mode, else the global one (`normal` picks no new coins), else whether it is approved (E2, E11)."""
    overrides = {} if own is None else {"BTC": {"live": {"forced_mode_long": own}}}
    modes = forced_modes({"forced_mode_long": everywhere, "forced_mode_short": ""}, overrides)
    assert modes.simulated("BTC", "long", approved=approved) == mode
    assert modes.simulated("BTC", "short", approved=True) is None


def test_shipped_example_finds_its_file_from_anywhere() -> None:
    """A config found in the source tree has its override files there, whatever the working directory."""
    got = resolved({"XRP": {"override_config_path": "overrides/xrp.json"}}, "configs/examples/overrides.json")
    assert got["XRP"]["live"] == {"forced_mode_long": "normal"}
