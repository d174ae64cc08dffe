"""A suite: one set of data, every scenario through the engine, in threads; results, summary, table, plot (15)."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.clock import Clock, SystemClock
from core.errors import PassivbotError, RunError
from core.files import write_text
from reporting.files import time_name
from reporting.suite_tables import print_suite
from runs.data import Config, load_data
from runs.standalone import Simulated, simulate, write_result
from runs.suite_data import PlannedSuite, Task
from simulation.suite import ScenarioResult
from simulation.suite_summary import ScenarioRun, suite_metrics, suite_summary

logger = logging.getLogger("backtest")

SUITE_RUNS = "suite_runs"
SUMMARY = "suite_summary.json"


def run_suite(config: Config, options: Mapping[str, Any]) -> Path:
    """Run all scenarios and write their results; the suite's directory. Raises ConfigError, DataError, RunError."""
    started, clock = time.monotonic(), SystemClock()
    suite = PlannedSuite(options, clock)
    prepared = load_data(config, options, suite.arrange)
    tasks = list(suite.tasks(prepared))
    root = _new_directory(Path(config["backtest"]["base_dir"]) / SUITE_RUNS, clock)
    results = _run_all(tasks, root, plot_coins=not options.get("disable_plotting", False))
    summary = _summarise(prepared.config, results, root)
    print_suite(summary, root, prepared.config["backtest"]["suite"]["aggregate"])
    _draw(root, results)
    logger.info("Suite %s completed: %d scenarios in %.2f s", root.name, len(results), time.monotonic() - started)
    return root


def _new_directory(parent: Path, clock: Clock) -> Path:
    """A directory named after the time, with a number if that name is taken."""
    name = time_name(clock.now_ms())
    for number in range(1, 1000):
        path = parent / (name if number == 1 else f"{name}_{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as exc:
            raise RunError(
                f"cannot make {path}: {exc.strerror or exc}; set backtest.base_dir to another place"
            ) from exc
        return path
    raise RunError(f"{parent} has a thousand suites of one second")


def _run_all(tasks: list[Task], root: Path, *, plot_coins: bool) -> dict[str, ScenarioResult]:
    """All tasks, as many at once as there are processors; files are written one after the other."""
    results: dict[str, ScenarioResult] = {}
    with ThreadPoolExecutor(min(len(tasks), os.cpu_count() or 1)) as pool:
        running = [(task, pool.submit(_simulate, task)) for task in tasks]
        for task, future in running:
            started = time.monotonic()
            simulated = future.result()
            path = root / task.label
            _write(task, simulated, path, plot_coins=plot_coins)
            logger.info("seconds elapsed for backtest: %.4f (scenario %s)", simulated.seconds, task.label)
            elapsed = simulated.seconds + time.monotonic() - started
            result = results.setdefault(task.label, ScenarioResult(task.label, str(path)))
            result.add(task.dataset.name, simulated.result, elapsed)
    return results


def _simulate(task: Task) -> Simulated:
    logger.info(
        "Running scenario %s: %s, %d coins, %d minutes",
        task.label, task.dataset.name, len(task.coins), len(task.dataset.timestamps),
    )  # fmt: skip
    try:
        return simulate(task.config, task.dataset)
    except PassivbotError as exc:
        raise RunError(f"scenario {task.label}: {exc}") from exc


def _write(task: Task, simulated: Simulated, root: Path, *, plot_coins: bool) -> None:
    """A result that cannot be written is no reason to lose the others."""
    try:
        write_result(simulated.result, task.config, (task.dataset, task.coins), root, plot_coins=plot_coins)
    except PassivbotError:
        logger.exception("the result of scenario %s was not written", task.label)


def _draw(root: Path, results: Mapping[str, ScenarioResult]) -> None:
    from reporting.plots.comparison import comparison  # lazily: matplotlib takes a third of a second
    from reporting.plots.style import save

    save(comparison(results, root.name), root / "suite_comparison.png")


def _summarise(config: Config, results: Mapping[str, ScenarioResult], root: Path) -> dict[str, Any]:
    aggregate = config["backtest"]["suite"]["aggregate"]
    metrics = suite_metrics({label: result.analyses for label, result in results.items()}, aggregate)
    runs = {label: ScenarioRun(result.elapsed_seconds, result.output_path) for label, result in results.items()}
    summary = suite_summary(root.name, metrics, runs)
    write_text(root / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
    return summary
