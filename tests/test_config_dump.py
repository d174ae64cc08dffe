"""Writing configs (`config_cli_suite.md` 18)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.changes import Changes, abbreviate
from config.dump import clean_config, dump_config, streamlined_json, strip_metadata
from config.load import load_config
from config.schema import defaults


def test_layout() -> None:
    """Short values stay on one line, long ones are broken up level by level; NaN is refused (F4)."""
    value = {"a": [1, 2, 3], "b": {"c": "x" * 50}}
    assert streamlined_json(value) == '{\n    "a": [1,2,3],\n    "b": {"c":"' + "x" * 50 + '"}\n}'
    assert streamlined_json({"é": 1}) == '{"\\u00e9":1}'
    assert streamlined_json(["x" * 30, "y" * 30, {}], indent=2) == f'[\n  "{"x" * 30}",\n  "{"y" * 30}",\n  {{}}\n]'
    assert streamlined_json({"b": 1, "a": 2}, sort_keys=True) == '{"a":2,"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        streamlined_json({"a": float("nan")})


def test_dump_and_load_again(tmp_path: Path) -> None:
    """A dumped config has no metadata, sorted keys, one final newline, and loads as itself."""
    config = load_config()
    dump_config(config, tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text()
    assert text.endswith("}\n")
    assert '_raw"' not in text
    loaded = load_config(tmp_path / "c.json")
    again, first = strip_metadata(loaded), strip_metadata(config)
    again["live"].pop("base_config_path"), first["live"].pop("base_config_path")
    assert again == first
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_shipped_template_is_in_its_own_layout() -> None:
    path = Path(__file__).parents[1] / "configs" / "template.json"
    text = path.read_text()
    assert streamlined_json(json.loads(text), sort_keys=True) + "\n" == text


def test_metadata_goes_at_every_level() -> None:
    assert strip_metadata({"_raw": 1, "a": [{"_transform_log": 1, "b": 2}], "_x": 3}) == {"a": [{"b": 2}], "_x": 3}


def test_clean() -> None:
    """Known keys only, null and missing ones from the defaults, private ones gone, free mappings kept."""
    dirty = {
        "live": {"user": None, "leverage": 3, "nonsense": 1, "_note": 1},
        "coin_overrides": {"BTC": {"_x": 1, "live": {"leverage": 2}}},
        "backtest": {"coin_sources": {"BTC": "okx"}},
        "optimize": {"seed": 5},
        "pbgui": {},
    }
    clean = clean_config(dirty)
    assert list(clean) == ["backtest", "bot", "coin_overrides", "live", "logging", "optimize"]
    assert clean["live"] == {**defaults()["live"], "leverage": 3}
    assert clean["coin_overrides"] == {"BTC": {"live": {"leverage": 2}}}
    assert clean["backtest"] == {**defaults()["backtest"], "coin_sources": {"BTC": "okx"}}
    assert clean["optimize"] == {**defaults()["optimize"], "seed": 5}


def test_abbreviations() -> None:
    """Long texts, lists and mappings are cut in the transform log, other objects become their type."""
    assert abbreviate("x" * 81) == "x" * 77 + "..."
    assert abbreviate("x" * 80) == "x" * 80
    assert abbreviate(list(range(8))) == [0, 1, 2, 3, 4, 5, "... (+2)"]
    assert abbreviate({str(i): i for i in range(8)}) == {
        "__dict__": {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "...": "2 more keys"}
    }
    assert abbreviate({1, 2}) == "<set>"


def test_changes() -> None:
    """The four forms of a change."""
    changes = Changes()
    changes.add("a.b", 1)
    changes.remove("a.c", None)
    changes.rename("a.d", "a.e", True)
    changes.update("a.f", 1, 2)
    assert changes.entries == [
        {"action": "add", "path": "a.b", "value": 1},
        {"action": "remove", "path": "a.c", "value": None},
        {"action": "rename", "from": "a.d", "to": "a.e", "value": True},
        {"action": "update", "path": "a.f", "old": 1, "new": 2},
    ]
