"""Hammers one candle cache with several processes, kills some, and compares what is left with an undisturbed cache.

python tests/soak/cache_hammer.py [--seconds 60] [--processes 8] [--kills 5] [--days 45] [--seed N] [--keep DIR]

The processes work through real clients against a venue on this machine. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

_SOURCES = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "src")]
sys.path[:0] = _SOURCES

import hammer_judge as judge  # noqa: E402
from hammer_venue import OPENING, SIMULATED_MS, Holes, SharedClock, disturb, make_holes, market_of  # noqa: E402
from hammer_worker import COUNTERS, OPERATIONS, Job, cache_of, make_shared, open_counts, work  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from core.clock import ManualClock  # noqa: E402
from core.errors import UsageError  # noqa: E402
from core.program import run_program  # noqa: E402
from exchange_sim.server import SimConfig, SimServer  # noqa: E402
from exchanges.endpoints import parse_endpoints  # noqa: E402
from exchanges.network import ExchangeNetwork  # noqa: E402

PATIENCE_S = 60.0  # for processes to come to an end
STOPS_WAITING_S = 0.05
MOMENTS_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard."""

    seconds: float
    processes: int
    kills: int
    days: int
    seed: int
    folder: Path


@dataclass(slots=True)
class Outcome:
    """What was done, and what is wrong."""

    killed: int = 0
    left_over: int = 0
    rows: int = 0
    requests: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Crew:
    """The processes at work. Those of a fork server start at once: its imports are done."""

    plan: Plan
    sim: SimServer
    clock: SharedClock
    holes: Holes
    running: dict[int, BaseProcess] = field(default_factory=dict)
    started: int = 0

    def start(self, slot: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["hammer_worker", "ccxt.async_support"])
        seed = self.plan.seed * 1000 + self.started
        job = Job(self.plan.folder, self.sim.endpoints(), self.clock, self.holes, seed, slot)
        process = context.Process(target=work, args=(job,))
        process.start()
        self.started += 1
        self.running[slot] = process

    async def kill(self, slot: int, *, while_writing: bool) -> bool:
        """Kill a process now, or at a moment when it is writing a file, if one comes; whether it was alive."""
        process = self.running[slot]
        for _ in range(MOMENTS_LOOKED_AT if while_writing else 0):
            os.kill(process.pid or 0, signal.SIGSTOP)
            if any(cache_of(self.plan.folder).glob(f"ohlcv/*/*/*/.*.{process.pid}.*.tmp")):
                break
            os.kill(process.pid or 0, signal.SIGCONT)
            await asyncio.sleep(0.002)
        return self.kill_if_alive(process)

    async def stop(self) -> list[str]:
        """Ask all to stop; who does not is an error."""
        (self.plan.folder / "stop").touch()
        deadline = time.monotonic() + PATIENCE_S
        while any(process.is_alive() for process in self.running.values()) and time.monotonic() < deadline:
            await asyncio.sleep(STOPS_WAITING_S)
        wrong = []
        for process in self.running.values():
            if self.kill_if_alive(process):
                wrong.append(f"process {process.pid} did not stop within {PATIENCE_S:g} s")
            elif process.exitcode:
                wrong.append(f"process {process.pid} ended with status {process.exitcode}")
        return wrong

    @staticmethod
    def kill_if_alive(process: BaseProcess) -> bool:
        alive = process.is_alive()
        if alive:
            process.kill()
        process.join()
        return alive

    def end(self) -> None:
        for process in self.running.values():
            self.kill_if_alive(process)


async def hammer(plan: Plan) -> Outcome:
    """The whole run: hammering, judging what is left, completing it, comparing."""
    random = Random(plan.seed)
    holes, outcome = make_holes(random, plan.days), Outcome()
    clock = SharedClock(OPENING, time.monotonic(), SIMULATED_MS / 1000.0 / plan.seconds)
    make_shared(plan.folder, plan.processes, holes.minutes)
    async with SimServer(SimConfig(market=market_of(holes), clock=clock, seed=plan.seed)) as sim:
        disturb(sim, holes)
        crew = Crew(plan, sim, clock, holes)
        try:
            await _pound(crew, random, outcome)
            outcome.wrong += await crew.stop()
        finally:
            crew.end()
        outcome.wrong += _told(plan.folder)
        outcome.requests = len(sim.requests)
        await _compare(plan, sim, holes, ManualClock(clock.now_ms()), outcome)
    return outcome


async def _pound(crew: Crew, random: Random, outcome: Outcome) -> None:
    plan = crew.plan
    for slot in range(plan.processes):
        crew.start(slot)
    ends = time.monotonic() + plan.seconds
    moments = sorted((random.uniform(0.15, 0.95), "kill") for _ in range(plan.kills))
    for moment, what in sorted([*moments, (0.6, "late minutes come")]):
        await asyncio.sleep(max(ends - plan.seconds * (1.0 - moment) - time.monotonic(), 0.0))
        if what == "kill":
            slot = random.randrange(plan.processes)
            outcome.killed += await crew.kill(slot, while_writing=random.random() < 0.5)
            crew.start(slot)
        else:
            crew.sim.faults.faults[:] = [fault for fault in crew.sim.faults.faults if fault.action != "missing"]
    await asyncio.sleep(max(ends - time.monotonic(), 0.0))


def _told(folder: Path) -> list[str]:
    """What the processes had to complain about."""
    return [f"{path.name}: {path.read_text().strip()}" for path in sorted((folder / "errors").iterdir())]


async def _compare(plan: Plan, sim: SimServer, holes: Holes, clock: ManualClock, outcome: Outcome) -> None:
    sim.faults.clear()
    cache, reference = cache_of(plan.folder), plan.folder / "reference"
    outcome.wrong += judge.unsound(plan.folder, holes, clock)
    endpoints = parse_endpoints(sim.endpoints(), "hammer")
    for directory in (cache, reference):
        async with ExchangeNetwork(endpoints, directory, clock) as network:
            outcome.rows = await judge.complete(network, directory, holes.start, clock)
    outcome.left_over = judge.tidy(cache, clock)
    outcome.wrong += judge.differences(cache, reference, clock)


def show(console: Console, plan: Plan, outcome: Outcome) -> None:
    """A line for everything that was done, then what is wrong."""
    counts = dict(zip(COUNTERS, open_counts(plan.folder, plan.processes).sum(axis=0).tolist(), strict=True))
    title = f"{plan.processes} processes, {plan.seconds:g} s, seed {plan.seed}"
    table = Table("what", "times", title=title)
    table.columns[1].justify = "right"
    lines = {"operations": sum(counts[name] for name in OPERATIONS), **counts, "killed": outcome.killed,
             "requests to the venue": outcome.requests, "files left by the killed": outcome.left_over,
             "rows in the end": outcome.rows, "wrong": len(outcome.wrong)}  # fmt: skip
    for name, count in lines.items():
        table.add_row(f"  {name}" if name in OPERATIONS else name, f"{count:,}")
    console.print(table)
    for line in outcome.wrong:
        console.print(f"WRONG {line}", markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """The folder of a run: one that the user named and keeps, or a temporary one."""
    folder = Path(tempfile.mkdtemp(prefix="hammer-")) if kept is None else kept
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"--keep {folder}: the directory is not empty; name another one")
    try:
        yield folder
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    p.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    p.add_argument("--processes", type=int, default=8, help="how many at once (default 8)")
    p.add_argument("--kills", type=int, default=5, help="how many are killed and replaced (default 5)")
    p.add_argument("--days", type=int, default=45, help="of candles (default 45)")
    p.add_argument("--seed", type=int, help="of holes, operations and kills (default: another one each time)")
    p.add_argument("--keep", type=Path, metavar="DIR", help="keep both caches there")
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    if args.seconds <= 0 or args.processes < 1 or args.kills < 0 or args.days < 4:
        raise UsageError("--seconds and --processes must be above 0, --kills not below, --days 4 at least")
    os.environ["PYTHONPATH"] = os.pathsep.join(_SOURCES)  # for the fork server
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    seed = int.from_bytes(os.urandom(3), "little") if args.seed is None else args.seed
    with _folder(args.keep) as folder:
        plan = Plan(args.seconds, args.processes, args.kills, args.days, seed, folder)
        outcome = asyncio.run(hammer(plan))
        show(Console(), plan, outcome)
    return int(bool(outcome.wrong))


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
