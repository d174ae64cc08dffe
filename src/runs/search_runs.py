"""The data of a search, the runs that every candidate makes on them, and those that are kept from it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.changes import Config
from config.holdout import Holdout, left_over, overlap, window_label
from config.scenario_config import with_overrides
from config.scenarios import Scenario, Window
from config.settings import BacktestSettings, backtest_settings
from config.warmup import compute_backtest_warmup_minutes
from core.clock import Clock
from core.errors import ConfigError
from core.terms import PSIDES
from optimization.context import CandidateRun, Sides
from runs.data import Prepared, load_data
from runs.standalone import with_coins
from runs.suite_data import PlannedSuite, Task
from simulation.checks import check_dataset
from simulation.dataset import Dataset
from simulation.suite import slice_dataset

NO_SUITE = "base"


@dataclass(frozen=True, slots=True)
class SearchData:
    """`runs` are those of the search, `held_out` the others by label; both empty of nothing that has no data."""

    prepared: Prepared
    runs: list[CandidateRun]
    held_out: dict[str, list[CandidateRun]]


def prepare_search(
    config: Config, options: Mapping[str, Any], clock: Clock, holdout: Holdout | None = None
) -> SearchData:
    """Bring the data of a search and of its hold-out to disk. Raises ConfigError, DataError."""
    holdout = holdout or Holdout()
    windows = holdout.held_out(_base_window(config))
    if config["backtest"]["suite"]["enabled"]:
        suite = PlannedSuite(options, clock, for_search=True)
        prepared = load_data(config, options, lambda final: _covering(suite.arrange(final), windows))
        runs = list(suite.tasks(prepared))
        _check_labels(holdout.scenarios, runs)
        whole = [(_of_task(task, clock, config), task.scenario.window, task.label) for task in runs]
    else:
        if holdout.scenarios:
            raise ConfigError("optimize.holdout.scenarios needs a suite: switch it on with --suite")
        prepared = load_data(config, options, lambda final: _covering(_with_bounds(final), windows))
        datasets = {dataset.name: dataset for dataset in prepared.datasets}
        window = _base_window(prepared.config)
        whole = [(_plain_run(prepared, dataset, sliced=bool(windows)), window, "") for dataset in datasets.values()]
    for dataset in prepared.datasets:
        check_dataset(dataset)
    return SearchData(prepared, *_split(whole, windows, holdout.scenarios, prepared.datasets))


def _base_window(config: Config) -> Window:
    return Window(str(config["backtest"]["start_date"]), str(config["backtest"]["end_date"]))


def _check_labels(labels: Sequence[str], tasks: Sequence[Task]) -> None:
    known = list(dict.fromkeys(task.label for task in tasks))
    if unknown := [label for label in labels if label not in known]:
        raise ConfigError(f"optimize.holdout.scenarios names {unknown[0]!r}; the suite has {', '.join(known)}")


def _with_bounds(final: Config) -> tuple[Config, BacktestSettings]:
    """Data that begin early enough for every candidate."""
    warmup = compute_backtest_warmup_minutes(final, with_bounds=True)
    return final, replace(backtest_settings(final), warmup_minutes=warmup)


def _covering(arranged: tuple[Config, BacktestSettings], windows: Sequence[Window]) -> tuple[Config, BacktestSettings]:
    """Data that reach to the held-out dates, too."""
    final, settings = arranged
    all_windows = [Window(settings.start_date, str(settings.end_date)), *windows]
    first = min(all_windows, key=lambda window: window.start_ms)
    last = max(all_windows, key=lambda window: window.end_ms)
    return final, replace(settings, start_date=first.start_date, end_date=last.end_date)


def _plain_run(prepared: Prepared, dataset: Dataset, *, sliced: bool) -> CandidateRun:
    config = with_coins(prepared.config, dataset.name, dataset.coins)
    nothing: Sides = {pside: {} for pside in PSIDES}
    warmup = compute_backtest_warmup_minutes(prepared.config, with_bounds=True)
    run = CandidateRun(NO_SUITE, config, dataset, warmup, nothing)
    return _on(run, _base_window(prepared.config), dataset) if sliced else run


def _of_task(task: Task, clock: Clock, config: Config) -> CandidateRun:
    return CandidateRun(
        task.label, task.config, task.dataset, task.warmup_minutes, forced(task.scenario, clock, config)
    )


def _split(
    whole: Sequence[tuple[CandidateRun, Window, str]],
    windows: Sequence[Window],
    scenarios: Sequence[str],
    datasets: Sequence[Dataset],
) -> tuple[list[CandidateRun], dict[str, list[CandidateRun]]]:
    """The runs of the search, and by label what is kept from it. Raises ConfigError when nothing is left to search."""
    full = {dataset.name: dataset for dataset in datasets}
    inside: list[CandidateRun] = []
    outside: dict[str, list[CandidateRun]] = {}
    for run, window, label in whole:
        if label in scenarios:
            outside.setdefault(label, []).append(run)
            continue
        dataset = full[run.view.name]
        inside += _parts(run, window, windows, dataset)
        for held in windows:
            # outside of a suite, dates beyond its own are wanted as well
            common = overlap(window, held) if label else held
            if common is not None:
                name = f"{label} {window_label(held)}".strip()
                outside.setdefault(name, []).append(_on(run, common, dataset))
    if not inside:
        raise ConfigError("optimize.holdout leaves nothing to search on")
    return inside, outside


def _parts(run: CandidateRun, window: Window, held: Sequence[Window], dataset: Dataset) -> Iterator[CandidateRun]:
    parts = left_over(window, held)
    for part in parts:
        name = window_label(part) if len(parts) > 1 else ""
        yield run if part == window else replace(_on(run, part, dataset), part=name)


def _on(run: CandidateRun, window: Window, dataset: Dataset) -> CandidateRun:
    """The same run in another window."""
    config = copy.deepcopy(run.config)
    config["backtest"] |= {"start_date": window.start_date, "end_date": window.end_date}
    view = slice_dataset(dataset, window.start_date, window.end_date, run.warmup_minutes, run.label)
    return replace(run, config=config, view=view)


def forced(scenario: Scenario, clock: Clock, config: Config) -> Sides:
    """The bot parameters that a scenario sets, by side: they beat the genes, also where they equal the config's."""
    blank = copy.deepcopy(config)
    blank["bot"] = {pside: dict.fromkeys(config["bot"][pside]) for pside in PSIDES}
    bot = with_overrides(blank, scenario, clock=clock)["bot"]
    return {pside: {key: float(value) for key, value in bot[pside].items() if value is not None} for pside in PSIDES}
