"""The optimizer from the command line: same records whoever runs it, whatever interrupts it."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from optimizer_runs import (
    MARKET,
    TEMPLATE,
    front,
    kill,
    left_behind,
    members_of_group,
    only_run,
    optimize,
    recorded,
    records,
    run_info,
    same_run,
    small,
    start,
    wait_for,
)

from optimization.results_log import load_results


def test_files_of_a_run(undisturbed: Path) -> None:
    """72 evaluations less the offspring that entered unchanged; every record complete; members are records."""
    info = run_info(undisturbed)
    found = records(undisturbed)
    assert len(found) == info["records"]
    assert 60 <= len(found) <= 72
    assert list(found[0]) == ["backtest", "bot", "coin_overrides", "live", "optimize", "metrics"]
    assert all(len(record["bot"]["long"]) == 37 for record in found)
    assert found[0]["backtest"]["coins"] == {"sample": ["BTC"]}
    assert {path.name for path in undisturbed.iterdir()} == {
        ".lock", "all_results.bin", "candidates.bin", "checkpoint.msgpack", "run.json", "pareto",
    }  # fmt: skip
    bots = [record["bot"] for record in found]
    members = [json.loads(path.read_text()) for path in (undisturbed / "pareto").iterdir()]
    assert members
    assert all(member["bot"] in bots for member in members)
    assert len(list(load_results(undisturbed / "all_results.bin"))) == len(found)


@pytest.mark.parametrize(
    "executor", [("local", "1"), ("local", "3"), ("processes", "1"), ("processes", "2")], ids="-".join
)
def test_same_records_for_every_executor(
    executor: tuple[str, str], tmp_path: Path, caches: Path, undisturbed: Path
) -> None:
    """Threads or processes, however many: the records are those of the run on one thread."""
    optimize(tmp_path, *small(caches, "--executor", executor[0], "-c", executor[1]))
    assert same_run(only_run(tmp_path), undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("executor", ["local", "processes"])
def test_interrupted_and_resumed(
    number: signal.Signals, executor: str, tmp_path: Path, caches: Path, undisturbed: Path
) -> None:
    """One signal is enough: status 130, nothing left behind, and the rest of the run is as if there had been none."""
    process = start(tmp_path, *small(caches, "--executor", executor, "-c", "2"))
    assert wait_for(lambda: recorded(tmp_path) > 200_000, process)
    sent = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert time.monotonic() - sent < 10
    assert process.returncode == 130, output
    assert left_behind(process) == []
    run = only_run(tmp_path)
    assert 0 < len(records(run)) < 72
    optimize(tmp_path, "--resume", run, "--cache-dir", caches)
    assert same_run(run, undisturbed)


def test_interrupt_before_the_first_generation_is_done(tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """A run that has only begun its initial population goes on, too."""
    process = start(tmp_path, *small(caches, "--executor", "serial"))
    assert wait_for(lambda: recorded(tmp_path) > 0, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    run = only_run(tmp_path)
    assert len(records(run)) < 24
    optimize(tmp_path, "--resume", run, "--cache-dir", caches, "--executor", "local", "-c", "2")
    assert same_run(run, undisturbed)


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again(seed: int, tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """SIGKILL at random moments, resumed each time: same records and front; no worker outlives the driver."""
    rng = random.Random(seed)
    executor = rng.choice(["local", "processes"])
    args: list[str | Path] = small(caches, "--executor", executor, "-c", "2")
    for _ in range(3):
        process = start(tmp_path, *args, "--optimize.checkpoint_interval_s", rng.choice(["0", "60"]))
        target = recorded(tmp_path) + rng.randrange(0, 600_000)
        if not wait_for(lambda target=target: recorded(tmp_path) > target, process):  # type: ignore[misc]
            process.communicate()
            break
        kill(process)
        assert left_behind(process, 10.0) == []
        args = ["--resume", only_run(tmp_path), "--cache-dir", caches]
    run = only_run(tmp_path)
    optimize(tmp_path, "--resume", run, "--cache-dir", caches)
    assert same_run(run, undisturbed)


def test_a_killed_worker_is_replaced(tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """A worker process that dies is a warning; its candidate is done by another."""
    process = start(tmp_path, *small(caches, "--executor", "processes", "-c", "2"))
    assert wait_for(lambda: recorded(tmp_path) > 100_000, process)
    workers = [
        pid for pid in members_of_group(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "a worker process was lost (signal 9)" in output
    assert same_run(only_run(tmp_path), undisturbed)


@pytest.mark.parametrize("cut", [1, 5000, 300_000])
def test_results_cut_at_any_byte_are_made_whole(cut: int, tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """A results file that has lost its end, records and all, is written again when the run is resumed."""
    optimize(tmp_path, *small(caches, "--executor", "local", "-c", "2"))
    run = only_run(tmp_path)
    size = (run / "all_results.bin").stat().st_size
    os.truncate(run / "all_results.bin", size - cut)
    for path in list((run / "pareto").iterdir())[:2]:
        path.unlink()
    optimize(tmp_path, "--resume", run, "--cache-dir", caches)
    assert (run / "all_results.bin").stat().st_size == size
    assert same_run(run, undisturbed)


def test_more_iterations_afterwards(tmp_path: Path, caches: Path) -> None:
    """A finished run goes on with more iterations as if it had been asked for them at once."""
    shape = [*MARKET, "-ps", "16", "--seed", "3", "--cache-dir", caches, "-c", "2"]
    for name, iters in (("long", "64"), ("short", "32")):
        (tmp_path / name).mkdir()
        optimize(tmp_path / name, TEMPLATE, *shape, "-i", iters)
    run = only_run(tmp_path / "short")
    optimize(tmp_path / "short", "--resume", run, "-i", "64", "--cache-dir", caches)
    assert same_run(run, only_run(tmp_path / "long"))
    assert run_info(run)["config"]["optimize"]["iters"] == 64


def test_seeds_of_a_front(tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """`--start` with a run: its members come first, each simulated once; the front is no worse."""
    args = [TEMPLATE, *MARKET, "-i", "16", "-ps", "16", "--seed", "3", "--cache-dir", caches, "-c", "2"]
    result = optimize(tmp_path, *args, "--start", undisturbed)
    run = only_run(tmp_path)
    members = len(front(undisturbed))
    assert f"{members} starting configs loaded" in result.stderr
    bots = [json.dumps(record["bot"], sort_keys=True) for record in records(run)]
    assert len(set(bots)) == len(bots)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--optimize.scoring", "adg_usdx"], "no result has"),
        (["-l", '[{"metric": "nonsense", "penalize_if": ">", "value": 1}]'], "nonsense"),
        (["-eo", "lossless"], "optimize.enable_overrides"),
        (["-cp", "0.8", "-mp", "0.5"], "exceed 1"),
        (["-ps", "0"], "optimize.population_size"),
        (["--start", "nowhere"], "--start nowhere does not exist"),
        (["--start", "empty"], "--start empty holds no configs"),
        (["--optimize.pipeline", '{"lag": 0}'], "optimize.pipeline.lag"),
        (["--optimize.scoring", ""], "optimize.scoring is empty"),
        (["-l", '[{"metric": "peak_recovery_hours_pnl", "penalize_if": "auto", "value": 1}]'], "no direction"),
        (["--resume", "nowhere"], "--resume nowhere has a config of its own"),
        (["--executor", "cloud"], "optimize.executor"),
        (["--optimize.eval_timeout_s", "0"], "optimize.eval_timeout_s"),
    ],
)
def test_mistakes_are_told_before_any_data(args: list[str], message: str, tmp_path: Path) -> None:
    """Status 2, one line that names what is wrong, no results directory."""
    (tmp_path / "empty").mkdir()
    result = optimize(tmp_path, TEMPLATE, *MARKET, *args, expect=2)
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "optimize_results").exists()
    assert not (tmp_path / "caches").exists()


def test_resume_refuses_what_would_change_the_run(tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """Other settings or other data are named; a directory without checkpoint says what to do instead."""
    result = optimize(tmp_path, "--resume", undisturbed, "-ps", "30", expect=2)
    assert "optimize.population_size" in result.stderr
    (tmp_path / "optimize_results").mkdir()
    result = optimize(tmp_path, "--resume", "optimize_results", expect=2)
    assert "no run.json" in result.stderr
    copy = tmp_path / "copy"
    (copy / "pareto").mkdir(parents=True)
    info = run_info(undisturbed)
    (copy / "run.json").write_text(json.dumps(info))
    result = optimize(tmp_path, "--resume", copy, expect=1)
    assert "no checkpoint" in result.stderr
    assert "--start copy/pareto" in result.stderr.replace(str(tmp_path) + "/", "")
    info["identity"]["datasets"]["sample"]["hlcvs"] = "0" * 64
    (copy / "run.json").write_text(json.dumps(info))
    (copy / "checkpoint.msgpack").write_bytes((undisturbed / "checkpoint.msgpack").read_bytes())
    result = optimize(tmp_path, "--resume", copy, "--cache-dir", caches, expect=1)
    assert "datasets.sample.hlcvs" in result.stderr
