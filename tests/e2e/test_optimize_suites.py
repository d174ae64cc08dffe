"""Searches over suites: aggregated, limited, skipped, split, resumed (5.7, 6.3, 13.4; `config_cli_suite.md` 15)."""

from __future__ import annotations

import json
import signal
import statistics
from pathlib import Path
from typing import Any

import pytest
from optimizer_runs import TEMPLATE, front, only_run, optimize, recorded, records, run_info, same_run, start, wait_for
from programs import only_result, run_program
from test_optimize_gui import fixed_spans
from test_suite_exchanges import waves

from test_dataset import fill_cache

DRAWDOWN, LOSS = 0.003, 0.4
LIMITS = [
    {"metric": "drawdown_worst_usd", "penalize_if": ">", "value": DRAWDOWN},
    {"metric": "loss_profit_ratio", "penalize_if": ">", "value": LOSS, "stat": "max"},
]
SCENARIOS = [
    {"label": "early", "end_date": "2025-01-09"},
    {"label": "late", "start_date": "2025-01-08", "overrides": {"bot.long.total_wallet_exposure_limit": 0.5}},
    {"label": "ghost", "coins": ["NOSUCHCOIN"]},
]
AGGREGATE = {"default": "mean", "adg_pnl": "max"}


def suite_config(folder: Path, scenarios: list[dict[str, Any]] = SCENARIOS, **optimize_keys: Any) -> Path:
    config = json.loads(TEMPLATE.read_text())
    config["backtest"] |= {
        "exchanges": ["sample"], "start_date": "2025-01-01", "end_date": "2025-01-12",
        "suite": {"enabled": True, "include_base_scenario": True, "base_label": "whole", "aggregate": AGGREGATE,
                  "scenarios": scenarios},
    }  # fmt: skip
    config["live"]["approved_coins"] = ["BTC", "ETH"]
    config["optimize"] |= {
        "iters": 48, "population_size": 16, "seed": 5, "scoring": ["adg_pnl", "drawdown_worst_usd", "gain_usd"],
        "limits": LIMITS, **optimize_keys,
    }  # fmt: skip
    path = folder / "suite.json"
    path.write_text(json.dumps(fixed_spans(config)))
    return path


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> tuple[Path, str]:
    """The run of the suite, and its log."""
    place = tmp_path_factory.mktemp("suite")
    done = optimize(place, suite_config(place), "--cache-dir", caches, "-c", "2")
    return only_run(place), done.stderr


def test_what_is_recorded(suite: tuple[Path, str]) -> None:
    """`suite_metrics` before `metrics`, which has no `stats`; every scenario but the one without coins."""
    run, log = suite
    assert "_combined_11days_suite_2_coins_" in run.name
    assert "ghost" in log
    for record in records(run):
        assert list(record)[-2:] == ["suite_metrics", "metrics"]
        assert list(record["metrics"]) == ["objectives", "constraint_violation"]
        assert "coins" not in record["backtest"]
        block = record["suite_metrics"]
        assert block["scenario_labels"] == ["whole", "early", "late"]
        for metric in block["metrics"].values():
            values = list(metric["scenarios"].values())
            assert metric["stats"] == pytest.approx(
                {"mean": statistics.fmean(values), "min": min(values), "max": max(values),
                 "std": statistics.pstdev(values)}, rel=1e-9, abs=1e-12,
            )  # fmt: skip


def test_objectives_and_limits(suite: tuple[Path, str]) -> None:
    """Objectives, and limits without `stat`, use the aggregated value; limits with one that statistic (E8)."""
    seen = set()
    for record in records(suite[0]):
        blocks = record["suite_metrics"]["metrics"]
        adg, drawdown, loss = blocks["adg_pnl"], blocks["drawdown_worst_usd"], blocks["loss_profit_ratio"]
        assert adg["aggregated"] == max(adg["scenarios"].values())
        assert drawdown["aggregated"] == drawdown["stats"]["mean"]
        general = max(0.0, (loss["stats"]["max"] - LOSS) * 1e6)
        own = max(0.0, (drawdown["aggregated"] - DRAWDOWN) * 1e6)
        expected = {
            "w_0": general or -adg["aggregated"],
            "w_1": general + own or drawdown["aggregated"],
            "w_2": general or -blocks["gain_usd"]["aggregated"],
        }
        assert record["metrics"]["objectives"] == pytest.approx(expected, rel=1e-9)
        assert record["metrics"]["constraint_violation"] == pytest.approx(general + own, rel=1e-9)
        seen.add((general > 0, own > 0))
    assert len(seen) > 1, "the limits of this test are too loose, or too tight"


def test_scenarios_of_their_own(tmp_path: Path, caches: Path, suite: tuple[Path, str]) -> None:
    """Scenarios one by one, in threads or processes: the same records."""
    for executor in ("local", "processes"):
        place = tmp_path / executor
        place.mkdir()
        path = suite_config(place, split_scenarios=True)
        optimize(place, path, "--cache-dir", caches, "--executor", executor, "-c", "2")
        assert same_run(only_run(place), suite[0])


def test_a_suite_goes_on(tmp_path: Path, caches: Path, suite: tuple[Path, str]) -> None:
    """Stopped and resumed without naming the suite again."""
    process = start(tmp_path, suite_config(tmp_path), "--cache-dir", caches, "-c", "1", "--executor", "serial")
    assert wait_for(lambda: recorded(tmp_path) > 300_000, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    run = only_run(tmp_path)
    assert len(records(run)) < len(records(suite[0]))
    optimize(tmp_path, "--resume", run, "--cache-dir", caches, "-c", "2")
    assert same_run(run, suite[0])


def test_the_parameters_of_a_scenario_beat_the_genes(suite: tuple[Path, str], caches: Path, tmp_path: Path) -> None:
    """A member in the backtester, with the scenario's dates and parameters, gives the scenario's metrics."""
    member = json.loads(next((suite[0] / "pareto").glob("*.json")).read_text())
    metrics = member["suite_metrics"]["metrics"]
    member["backtest"]["start_date"] = "2025-01-08"
    member["backtest"]["suite"]["enabled"] = False
    member["bot"]["long"]["total_wallet_exposure_limit"] = 0.5
    (tmp_path / "config.json").write_text(json.dumps(member))
    run_program("backtest.py", "config.json", "--cache-dir", caches, "-dp", cwd=tmp_path)
    analysis = json.loads((only_result(tmp_path) / "analysis.json").read_text())
    for name in ("adg_usd", "drawdown_worst_usd", "gain_usd", "loss_profit_ratio"):
        assert metrics[name]["scenarios"]["late"] == pytest.approx(analysis[name], rel=0.005), name


def test_nothing_but_ghosts(tmp_path: Path, caches: Path) -> None:
    """No scenario with a coin that there is: an error that names it, no run."""
    path = suite_config(tmp_path, [{"label": "ghost", "coins": ["NOSUCHCOIN"]}])
    config = json.loads(path.read_text())
    config["backtest"]["suite"]["include_base_scenario"] = False
    path.write_text(json.dumps(config))
    result = run_program("optimize.py", path, "--cache-dir", caches, cwd=tmp_path, expect=1)
    assert "NOSUCHCOIN" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "optimize_results").exists()


def test_coin_overrides_of_a_file(tmp_path: Path, caches: Path) -> None:
    """They are resolved as in the backtest: a member there gives the objectives that the search found."""
    (tmp_path / "btc.json").write_text(json.dumps({"bot": {"long": {"entry_initial_qty_pct": 0.05}}}))
    config = json.loads(suite_config(tmp_path).read_text())
    config["backtest"]["suite"]["enabled"] = False
    config["optimize"] |= {
        "limits": [],
        "scoring": ["adg_usd", "drawdown_worst_usd"],
        "iters": 16,
        "population_size": 8,
    }
    for name in ("plain", "with"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
        config["coin_overrides"] = {"BTC": {"override_config_path": "btc.json"}}
        optimize(tmp_path / name, tmp_path / f"{name}.json", "--cache-dir", caches, "-c", "2")
    plain, ours = (only_run(tmp_path / name) for name in ("plain", "with"))
    assert run_info(plain)["records_sha256"] != run_info(ours)["records_sha256"]
    first = [records(run)[0] for run in (plain, ours)]
    assert first[0]["bot"] == first[1]["bot"]
    assert first[0]["metrics"] != first[1]["metrics"]
    assert first[1]["coin_overrides"]["BTC"]["bot"]["long"]["entry_initial_qty_pct"] == 0.05
    member = next((ours / "pareto").glob("*.json"))
    run_program("backtest.py", member, "--cache-dir", caches, "-dp", cwd=tmp_path)
    analysis = json.loads((only_result(tmp_path) / "analysis.json").read_text())
    objectives = json.loads(member.read_text())["metrics"]["objectives"]
    assert objectives["w_0"] == pytest.approx(-analysis["adg_usd"], rel=0.005)
    assert objectives["w_1"] == pytest.approx(analysis["drawdown_worst_usd"], rel=0.005)


def test_exchanges_by_themselves(tmp_path: Path) -> None:
    """Without combining, a scenario's value is the mean over the exchanges it may use."""
    for exchange, volume in (("one", 9.0), ("two", 1.0)):
        fill_cache(tmp_path / "caches", {coin: waves(volume) for coin in ("BTC", "ETH")}, exchange)
    config = json.loads(
        suite_config(tmp_path, [{"label": "both"}, {"label": "only_two", "exchanges": ["two"]}]).read_text()
    )
    config["backtest"] |= {
        "exchanges": ["one", "two"], "start_date": "2023-11-14", "end_date": "2023-11-16", "combine_ohlcvs": False,
    }  # fmt: skip
    config["live"] |= {"minimum_coin_age_days": 0, "warmup_ratio": 0.002}
    config["optimize"] |= {"iters": 8, "population_size": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    results = []
    for name, more in (("serial", []), ("split", ["--optimize.split_scenarios", "y"])):
        (tmp_path / name).mkdir()
        args = [tmp_path / "config.json", "--offline", "--cache-dir", tmp_path / "caches", "--executor", "local", *more]
        optimize(tmp_path / name, *args)
        results.append(only_run(tmp_path / name))
    assert same_run(*results)
    assert front(results[0])
    assert "_one_two_2days_suite_2_coins_" in results[0].name
    labels = records(results[0])[0]["suite_metrics"]["scenario_labels"]
    assert labels == ["whole", "both", "only_two"]
