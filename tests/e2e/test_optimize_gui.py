"""The optimizer behind PBGui: command line, words on the log, files as its reader takes them (gui_compatibility.md)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from optimizer_runs import TEMPLATE, only_run, optimize, run_info
from programs import only_result, run_program

SCORING = ["adg_usd", "drawdown_worst_usd", "sharpe_ratio_usd"]
TOP_LEVEL = ["backtest", "bot", "coin_overrides", "live", "logging", "optimize", "results_dir", "results_filename"]


def fixed_spans(config: dict[str, Any]) -> dict[str, Any]:
    """Bounds under which search and backtest need the same warm-up (`config_cli_suite.md` E13)."""
    bot = config["bot"]
    spans = {f"{pside}_{key}": [bot[pside][key]] for pside in bot for key in bot[pside] if "ema_span" in key}
    config["optimize"]["bounds"] |= spans
    return config


def gui_config(name: str, **optimize_keys: Any) -> dict[str, Any]:
    """A config as the interface writes it: the template's keys, a section and a folder of its own."""
    config: dict[str, Any] = json.loads(TEMPLATE.read_text())
    config["pbgui"] = {"version": 7, "note": name, "starting_config": True}
    config["backtest"] |= {
        "base_dir": f"backtests/pbgui/{name}", "coin_sources": {}, "exchanges": ["sample"], "start_date": "2025-01-01",
        "end_date": "2025-01-10",
    }  # fmt: skip
    config["live"]["approved_coins"] = {"long": ["BTC"], "short": ["BTC"]}
    config["live"]["ignored_coins"] = {"long": [], "short": []}
    config["optimize"] |= {
        "iters": 48, "population_size": 16, "n_cpus": 2, "scoring": SCORING, "limits": [], "seed": 3,
        "compress_results_file": True, **optimize_keys,
    }  # fmt: skip
    return fixed_spans(config)


def rows_read(run: Path) -> list[dict[str, Any]]:
    """Its reader: the maps of the file one after the other, none of them completed by what stood before."""
    with (run / "all_results.bin").open("rb") as file:
        return list(msgpack.Unpacker(file, raw=False))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gui")


@pytest.fixture(scope="module")
def finished(place: Path) -> tuple[Path, str]:
    """`optimize.py -t seed.json config.json`: the run, and the log."""
    (place / "seed.json").write_text(json.dumps(gui_config("seed")))
    (place / "config.json").write_text(json.dumps(gui_config("name")))
    done = optimize(place, "-t", "seed.json", "config.json", "--cache-dir", place / "caches")
    return only_run(place), done.stderr


def test_words_on_the_log(finished: tuple[Path, str]) -> None:
    """Running, then done."""
    log = finished[1]
    assert 0 < log.index("Initial population size") < log.index("Optimization complete")
    assert "1 starting configs loaded" in log


def test_rows(finished: tuple[Path, str]) -> None:
    """As many as were recorded, each with full parameters, metrics and objectives, although the file is compressed."""
    rows = rows_read(finished[0])
    assert len(rows) == run_info(finished[0])["records"] > 30
    names = list(rows[0]["metrics"]["stats"])
    assert len(names) > 90
    for row in rows:
        assert {pside: len(side) for pside, side in row["bot"].items()} == {"long": 37, "short": 37}
        assert list(row["metrics"]) == ["stats", "objectives", "constraint_violation"]
        assert list(row["metrics"]["objectives"]) == ["w_0", "w_1", "w_2"]
        assert all(set(stat) == {"mean", "min", "max", "std"} for stat in row["metrics"]["stats"].values())
    assert "live" in rows[0]
    assert "live" not in rows[1]


def rounded(value: Any) -> Any:
    """Three significant digits, as the archive rounds."""
    from passivbot_rust import round_dynamic

    if isinstance(value, float):
        return round_dynamic(value, 3)
    return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_front(finished: tuple[Path, str]) -> None:
    """The front recomputed from all rows is the set of the members' files, whose names are the hashes of contents."""
    run = finished[0]
    rows = rows_read(run)
    found: dict[str, tuple[float, ...]] = {}
    points: dict[tuple[float, ...], str] = {}
    for row in rows:
        entry = {**{key: rows[0][key] for key in TOP_LEVEL}, "bot": row["bot"], "metrics": rounded(row["metrics"])}
        vector = tuple(entry["metrics"]["objectives"].values())
        points.setdefault(vector, hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest())
    for vector, name in points.items():
        others = (other for other in points if other != vector)
        if not any(all(b <= a for a, b in zip(vector, other, strict=True)) for other in others):
            found[name] = vector
    files = {path.stem: json.loads(path.read_text()) for path in (run / "pareto").glob("*.json")}
    assert set(found) == set(files)
    for name, content in files.items():
        assert hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() == name
        assert list(content) == [*TOP_LEVEL, "metrics"]
        assert "pbgui" not in content


def test_members_run_again(finished: tuple[Path, str], place: Path) -> None:
    """A member is a config of the backtester and of the optimizer, and draws the front's figure."""
    run = finished[0]
    member = next((run / "pareto").glob("*.json"))
    run_program("backtest.py", member, "--cache-dir", place / "caches", "-dp", cwd=place)
    result = only_result(place)
    assert result.is_relative_to(place / "backtests/pbgui/name")
    analysis = json.loads((result / "analysis.json").read_text())
    objectives = json.loads(member.read_text())["metrics"]["objectives"]
    assert objectives["w_0"] == pytest.approx(-analysis["adg_usd"], rel=0.005)
    run_program("pareto_store.py", run / "pareto", cwd=place)
    (place / "again").mkdir()
    optimize(place / "again", member, "-i", "8", "-ps", "8", "-t", run / "pareto", "--cache-dir", place / "caches")
