"""The measurements as tables for the console."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks import batch, engine
from benchmarks.batch import BatchRow
from benchmarks.candles import CandlesRow
from benchmarks.dataset import DatasetRow
from benchmarks.engine import EngineRow
from benchmarks.planner import PlannerRow
from benchmarks.search import SearchRow
from benchmarks.startup import StartupRow


def number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def table(title: str, caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Numbers stand to the right, the first text column to the left."""
    result = Table(title=title, caption=caption, caption_justify="left", title_justify="left")
    for at, head in enumerate(heads):
        texts = any(any(c.isalpha() for c in row[at]) for row in rows)
        result.add_column(head, justify="left" if texts else "right", no_wrap=texts)
    for row in rows:
        result.add_row(*row)
    return result


def engine_table(rows: Sequence[EngineRow]) -> Table:
    heads = (
        "coins", "sides", "metrics only", "full", "full / metrics only", "with objects", "floor", "of the floor",
        "target", "fills", "hash of fills", "dataset MiB", "memory MiB: metrics only", "full",
    )  # fmt: skip
    cells = [
        (
            str(r.coins), r.sides, number(r.metrics_only / 1e6), number(r.full / 1e6), number(r.full / r.metrics_only),
            number(r.boxed / 1e6), number(r.floor and r.floor / 1e6), number(r.of_floor, 3), number(r.target),
            f"{r.fills:,}", r.fills_hash, number(r.dataset_mib, 0), number(r.memory_metrics_only_mib, 1),
            number(r.memory_full_mib, 1),
        )
        for r in rows
    ]  # fmt: skip
    caption = (
        "Rates: million coin-minutes a second after warm-up, one thread. Metrics only and full (fills as columns) "
        "include the metrics; with objects: full, with a Python object for every cell of the fills (one timing). "
        "Memory: peak of the resident memory over that of the interpreter with the extension, minus the dataset; "
        f"target {engine.MEMORY_TARGET_MIB}."
    )
    return table("Engine", caption, heads, cells)


def planner_table(rows: Sequence[PlannerRow]) -> Table:
    heads = ("coins", "orders", "request kB", "calls a second", "µs a call", "target µs", "µs with Python's JSON")
    cells = [
        (
            str(r.coins), str(r.orders), number(r.request_bytes / 1000, 1), number(1e6 / r.microseconds, 0),
            number(r.microseconds, 1), number(r.target_us, 0), number(r.with_python_us, 1),
        )
        for r in rows
    ]  # fmt: skip
    caption = (
        "calc_ideal_orders_orchestrator, text in and out; all coins have slots on both sides, two of three positions."
    )
    return table("Planner through JSON", caption, heads, cells)


def dataset_table(rows: Sequence[DatasetRow]) -> Table:
    heads = ("dataset", "coins", "days", "seconds", "target", "seconds a coin-year")
    cells = [
        (
            r.what, str(r.coins), str(r.days), number(r.seconds, 3), number(r.target, 1),
            number(r.seconds_a_coin_year, 3),
        )
        for r in rows
    ]  # fmt: skip
    return table("Loading candles", "Medians; the system's own file cache is warm.", heads, cells)


def candles_table(rows: Sequence[CandlesRow]) -> Table:
    heads = ("symbols", "EMAs each", "minutes", "ms a minute", "target ms", "ms a symbol", "refresh only")
    cells = [
        (
            str(r.symbols), str(r.emas), str(r.minutes), number(1000 * r.seconds, 0),
            number(None if r.target is None else 1000 * r.target, 0), number(1000 * r.seconds / r.symbols),
            number(1000 * r.refresh_seconds, 0),
        )
        for r in rows
    ]  # fmt: skip
    caption = "Time of the processor, all threads, medians; the exchange answers from memory."
    return table("A minute of the live bot's candles", caption, heads, cells)


def startup_table(rows: Sequence[StartupRow]) -> Table:
    cells = [(r.program, number(1000 * r.seconds, 0)) for r in rows]
    return table("Start-up", "Medians.", ("program", "ms"), cells)


def batch_table(rows: Sequence[BatchRow]) -> Table:
    heads = (
        "threads", "coins", "minutes", "candidates", "runs a second", "million coin-minutes a second",
        "times one thread", "(median)", "dataset MiB", "memory MiB", "target",
    )  # fmt: skip
    cells = [
        (
            str(r.threads), str(r.coins), str(r.minutes), str(r.candidates), number(r.runs_a_second),
            number(r.coin_minutes_a_second / 1e6), number(r.scaling), number(r.scaling_median),
            number(r.dataset_mib, 0), number(r.memory_mib, 1), str(batch.MEMORY_TARGET_MIB * r.threads),
        )
        for r in rows
    ]  # fmt: skip
    caption = (
        f"backtest_batch, long and short, metrics only; fastest of {batch.PAIRS}; scaling: best of {batch.PAIRS} "
        "pairs. Memory as above; the threads share nothing but the candles."
    )
    return table("Batch", caption, heads, cells)


def search_table(rows: Sequence[SearchRow]) -> Table:
    heads = (
        "what", "workers", "evaluations", "seconds", "a second", "outside the engine %", "by processor time %",
        "target", "peak PSS MiB", "times one worker",
    )  # fmt: skip
    cells = [
        (
            r.what, str(r.workers), str(r.evaluations), number(r.seconds), number(r.evaluations_a_second, 1),
            number(r.outside_percent, 1), number(r.outside_cpu_percent, 1), r.target, number(r.memory_mib, 0),
            number(r.times_one_worker),
        )
        for r in rows
    ]  # fmt: skip
    caption = (
        "Template bounds, scoring and limits, the built-in sample market. Outside the engine: 1 - engine seconds / "
        "(wall seconds x workers); by processor time: what the driver's thread used of all processor time."
    )
    return table("Search", caption, heads, cells)
