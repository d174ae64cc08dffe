"""The iterative backtester: data are loaded once, the config is edited and run again and again
(`optimizer_pareto_tools.md` 10)."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from config.check import odd_values
from config.objectives import limit_excess
from core.clock import Clock
from core.errors import PassivbotError
from optimization.scoring import LimitRule, Measured, Scoring
from reporting.iterative_bar import running_bar
from reporting.iterative_run import IterativeRun, LimitCheck, best_run
from reporting.iterative_tables import Context, Deltas, print_history, print_run
from runs.data import Config, Prepared
from runs.iterative_data import DataInStep, backtest_signature, bot_hash, read_config
from runs.iterative_files import append_history, new_session_folder, run_folder, write_run
from runs.standalone import simulate, with_coins

PROMPT = "iterbt> "
HELP = """\
  Enter, run, r     read the config again and run it
  best, b           show the best run
  history, h        list all runs
  reload            load the data again; forgets the runs
  help, ?           this list
  quit, exit, q     end"""
_DURATIONS = 100


@dataclass(frozen=True, slots=True)
class Finished:
    """A run as it came out; how good it is depends on the scoring of the day. `analyses` by dataset."""

    number: int
    time_ms: int
    duration_s: float
    directory: Path
    analyses: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Any]
    bot_hash: str


class Session:
    """One session at the prompt. `status` is the exit status of the last command that ran something."""

    def __init__(self, config_path: Path, console: Console, clock: Clock, options: Mapping[str, Any]) -> None:
        self.status = 0
        self._path, self._console, self._clock = config_path, console, clock
        self._data = DataInStep(options)
        self._history: list[Finished] = []
        self._last: Finished | None = None
        self._numbers = itertools.count(1)
        self._durations: deque[float] = deque(maxlen=_DURATIONS)
        self._folder: Path | None = None

    def start(self) -> None:
        """Load the data. Raises ConfigError, DataError: without them there is no session."""
        self._say_loaded(self._data.prepared(read_config(self._path, self._clock)))

    def serve(self, commands: Iterable[str]) -> None:
        """Do one command after the other, until they end or one says so. What fails is told, and the prompt returns."""
        for line in commands:
            word = line.strip().lower()
            if word in ("quit", "exit", "q"):
                return
            action = self._actions().get(word)
            if action is None:
                self._console.print(f"unknown command {word!r}; it is one of:\n{HELP}", markup=False)
                continue
            try:
                action()
            except PassivbotError as exc:
                self.status = exc.exit_status
                self._console.print(f"error: {exc}", style="red", markup=False, soft_wrap=True)

    def _actions(self) -> dict[str, Callable[[], None]]:
        return {
            **dict.fromkeys(("", "run", "r"), self.run),
            **dict.fromkeys(("best", "b"), self.show_best),
            **dict.fromkeys(("history", "h"), self.show_history),
            **dict.fromkeys(("help", "?"), self.show_help),
            "reload": self.reload,
        }

    def run(self) -> None:
        """Run the config as it is now; one whose parameters ran before is shown again."""
        config = read_config(self._path, self._clock)
        scoring = Scoring.of(config, suite=False)
        if not self._data.belongs_to(config):
            self._forget("backtest or live changed")
            self._say_loaded(self._data.prepared(config))
        before = self._last
        done = next((done for done in self._history if done.bot_hash == bot_hash(config)), None)
        if done is None:
            done = self._simulated(config)
            self._write(done, config, scoring)
            self._history.append(done)
        else:
            self._console.print(f"the parameters are those of run {done.number}: nothing to run")
        self._last = done
        self._show(done, scoring, before)
        self.status = 0

    def _simulated(self, config: Config) -> Finished:
        for line in odd_values(config):
            self._console.print(f"warning: {line}", style="yellow", markup=False, soft_wrap=True)
        prepared = self._data.prepared(config)
        started, now = time.monotonic(), self._clock.now_ms()
        with running_bar(self._mean_s() if self._durations else None):
            analyses = {
                dataset.name: simulate(
                    with_coins(prepared.config, dataset.name, dataset.coins), dataset
                ).result.analysis
                for dataset in prepared.datasets
            }
        duration = time.monotonic() - started
        self._durations.append(duration)
        if self._folder is None:
            self._folder = new_session_folder(Path(config["backtest"]["base_dir"]), self._clock)
        number = next(self._numbers)
        parameters = dict(flat({"bot": config["bot"], "coin_overrides": config["coin_overrides"]}))
        folder = run_folder(self._folder, number, now)
        return Finished(number, now, duration, folder, analyses, parameters, bot_hash(config))

    def _write(self, done: Finished, config: Config, scoring: Scoring) -> None:
        judged = [judge(each, scoring) for each in (*self._history, done)]
        write_run(judged[-1], done.analyses, config, self._path)
        hashes = (backtest_signature(config), done.bot_hash)
        append_history(judged[-1], best_run(judged), hashes, _changes(self._last, done))

    def _show(self, done: Finished, scoring: Scoring, before: Finished | None) -> None:
        runs = {each.number: judge(each, scoring) for each in self._history}
        run = runs[done.number]
        previous = None if before is None or before is done else runs[before.number]
        print_run(self._console, run, Context([*runs.values()], previous, _changes(before, done), self._mean_s()))

    def _mean_s(self) -> float:
        return sum(self._durations) / len(self._durations)

    def reload(self) -> None:
        """Load the data again, whether anything changed or not."""
        self._forget("reload")
        self._data.forget()
        self.start()
        self.status = 0

    def _forget(self, why: str) -> None:
        if self._history:
            self._console.print(f"{why}: the runs so far ({len(self._history)}) are forgotten, their files stay")
        self._history.clear()
        self._last = None

    def _say_loaded(self, prepared: Prepared) -> None:
        for dataset in prepared.datasets:
            rows, coins = len(dataset.timestamps), ", ".join(dataset.coins)
            self._console.print(
                f"{dataset.name}: {rows:,} minutes of {len(dataset.coins)} coins: {coins}", markup=False
            )

    def show_best(self) -> None:
        """The best run so far, by the config's scoring as it is now."""
        scoring = self._scoring()
        if self._has_runs():
            best = best_run([judge(done, scoring) for done in self._history])
            self._show(next(done for done in self._history if done.number == best.number), scoring, None)

    def show_history(self) -> None:
        """All runs, likewise."""
        scoring = self._scoring()
        if self._has_runs():
            print_history(self._console, [judge(done, scoring) for done in self._history])

    def _scoring(self) -> Scoring:
        return Scoring.of(read_config(self._path, self._clock), suite=False)

    def _has_runs(self) -> bool:
        if not self._history:
            self._console.print("no runs yet")
        return bool(self._history)

    def show_help(self) -> None:
        self._console.print(HELP, markup=False)


def judge(done: Finished, scoring: Scoring) -> IterativeRun:
    """A run by the scoring of the config as it is now."""
    analyses = {"": done.analyses}
    measured, block = scoring.measure(analyses)
    objectives, violation = scoring.fitness(measured)
    signed = tuple(math.inf if value is None else value for value in scoring.signed(measured))
    notes = [analysis["data_note"] for analysis in done.analyses.values() if "data_note" in analysis]
    return IterativeRun(
        number=done.number,
        time_ms=done.time_ms,
        duration_s=done.duration_s,
        directory=done.directory,
        objectives=tuple(objective.metric for objective in scoring.objectives),
        scores=tuple(math.inf if math.isinf(s) else score for s, score in zip(signed, objectives, strict=True)),
        signed=signed,
        violation=violation,
        metrics={name: stats["mean"] for name, stats in block["stats"].items() if "mean" in stats},
        limits=tuple(limit_check(rule, measured) for rule in scoring.limits),
        data_note=notes[0] if notes else None,
    )


def limit_check(rule: LimitRule, measured: Measured) -> LimitCheck:
    value = measured.value(rule.metric, rule.stat)
    name = f"{rule.metric}.{rule.stat}"
    match rule.limit["penalize_if"]:
        case "greater_than":
            requirement = f"{name} <= {rule.limit['value']}"
        case "less_than":
            requirement = f"{name} >= {rule.limit['value']}"
        case "outside_range":
            requirement = "{1} <= {0} <= {2}".format(name, *rule.limit["range"])
        case _:
            requirement = "{0} <= {1} or {0} >= {2}".format(name, *rule.limit["range"])
    return LimitCheck(requirement, value, None if value is None else 0.0 - limit_excess(rule.limit, value))


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and values of a nested mapping."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _changes(before: Finished | None, done: Finished) -> Deltas:
    return {} if before is None else changed(before.parameters, done.parameters)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Deltas:
    """`{dotted path: (old, new)}` of what differs; None where one side lacks the path."""
    paths = sorted({*old, *new})
    return {path: (old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)}
