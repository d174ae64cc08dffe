"""A search killed with SIGKILL again and again, resumed each time: the records are those of an undisturbed one.

    python tests/soak/optimizer_kills.py --rounds 10 --seeds 3

For each seed and executor: a run of its own, killed so many times in a row at random moments (while it starts, while
data are prepared, while it searches), then left to end. One row each: kills by what the run was doing, time from SIGINT
to exit in one more sitting, and whether records, digest and front are the same. Status 1 if one is not, if a process
outlived its driver, or if a run had ended before a blow.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "e2e")]

from optimizer_runs import (  # noqa: E402
    MARKET,
    TEMPLATE,
    kill,
    left_behind,
    only_run,
    optimize,
    recorded,
    run_info,
    same_run,
    start,
)

SHAPE = [*MARKET, "-i", "2000", "-ps", "40", "--optimize.pipeline", '{"chunk_size": 20, "lag": 3}']
INTERRUPTED = 130
START_S = 1.5  # what a sitting needs before it searches
EARLY = 0.3  # the share of blows that fall by the clock, before or soon after the search has begun
SPENT = 0.9  # of the whole run, at most, by the last blow: none may come too late
EXECUTORS = ("local", "processes")


@dataclass
class Result:
    """One run that was killed again and again."""

    seed: int
    executor: str
    early: int = 0  # killed before the first record of its sitting
    searching: int = 0
    missed: int = 0  # sittings that ended before the blow
    left: int = 0  # processes that outlived their driver
    same: bool = False
    interrupt_s: float | None = None

    @property
    def good(self) -> bool:
        return self.same and not self.left and not self.missed

    def row(self) -> str:
        interrupt = "-" if self.interrupt_s is None else f"{self.interrupt_s:.2f}"
        verdict = "same" if self.same else "DIFFERENT"
        return (
            f"{self.seed:>4}  {self.executor:<10} {self.early:>5} {self.searching:>9} {self.missed:>6} "
            f"{self.left:>4}  {interrupt:>8}  {verdict}"
        )


HEAD = "seed  executor   early searching missed left  SIGINT s  records and front"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="kills in a row (default 10)")
    parser.add_argument("--seeds", type=int, default=3, help="runs for each executor (default 3)")
    parser.add_argument("--executors", default=",".join(EXECUTORS), help="comma list (default %(default)s)")
    parser.add_argument("-c", "--cpus", default="2", help="workers (default 2)")
    given = parser.parse_args(argv)
    place = Path(tempfile.mkdtemp(prefix="optimizer_kills_"))
    tell(HEAD)
    results = []
    for seed in range(1, given.seeds + 1):
        undisturbed = place / f"undisturbed_{seed}"
        undisturbed.mkdir()
        optimize(undisturbed, *arguments(place, seed), "-c", given.cpus)
        for executor in given.executors.split(","):
            results.append(killed(place, seed, executor, given.rounds, undisturbed, given.cpus))
            tell(results[-1].row())
    good = all(result.good for result in results)
    kills = sum(result.early + result.searching for result in results)
    tell(f"{kills} kills, {sum(result.same for result in results)} of {len(results)} runs the same")
    if good:
        shutil.rmtree(place)
    else:
        tell(f"left for inspection: {place}")
    return 0 if good else 1


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def arguments(place: Path, seed: int) -> list[str | Path]:
    return [TEMPLATE, *SHAPE, "--seed", str(seed), "--cache-dir", place / "caches"]


def killed(place: Path, seed: int, executor: str, rounds: int, undisturbed: Path, cpus: str) -> Result:
    """Kill a run so many times in a row, let it end, and compare it."""
    rng = random.Random(f"{seed} {executor}")
    result = Result(seed, executor)
    cwd = place / f"{executor}_{seed}"
    cwd.mkdir()
    for _ in range(rounds):
        interval = rng.choice(["0", "0.3", "60"])
        more = ["--executor", executor, "-c", cpus, "--optimize.checkpoint_interval_s", interval]
        process = start(cwd, *beginning(cwd, place, seed), *more)
        before = recorded(cwd)
        strike_s = time.monotonic() + (rng.uniform(0.0, START_S) if rng.random() < EARLY else float("inf"))
        strike_bytes = before + rng.uniform(0.0, SPENT / rounds) * recorded(undisturbed)
        while process.poll() is None and time.monotonic() < strike_s and recorded(cwd) <= strike_bytes:
            time.sleep(0.002)
        missed, grown = process.poll() is not None, recorded(cwd) != before
        process.communicate() if missed else kill(process)
        result.missed += missed
        result.searching += grown and not missed
        result.early += not grown and not missed
        result.left += len(left_behind(process, 5.0))
    result.interrupt_s = interrupted(cwd, place, seed, executor, cpus)
    optimize(cwd, *beginning(cwd, place, seed), "-c", cpus)
    result.same = same_run(only_run(cwd), only_run(undisturbed)) and "records_sha256" in run_info(only_run(cwd))
    return result


def beginning(cwd: Path, place: Path, seed: int) -> list[str | Path]:
    """A new run where there is none that can be resumed."""
    for run in cwd.glob("optimize_results/*"):
        if (run / "checkpoint.msgpack").exists():
            return ["--resume", run, "--cache-dir", place / "caches"]
        shutil.rmtree(run)
    return arguments(place, seed)


def interrupted(cwd: Path, place: Path, seed: int, executor: str, cpus: str) -> float | None:
    """Seconds from SIGINT to the end, in a sitting that has begun to search; None if that had ended."""
    process = start(cwd, *beginning(cwd, place, seed), "--executor", executor, "-c", cpus)
    before = recorded(cwd)
    while recorded(cwd) == before and process.poll() is None:
        time.sleep(0.005)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate()
    return time.monotonic() - sent if process.returncode == INTERRUPTED else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
