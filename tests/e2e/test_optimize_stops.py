"""Signals, a second process, a full disk, in the moments in which they hurt (1.4, 13.5, 13.6)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from disks import fill, give_room
from optimizer_runs import (
    SMALL,
    TEMPLATE,
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


def ended(process: subprocess.Popen[str], status: int) -> str:
    """The output of a process that ends with that status and leaves nothing behind."""
    output, _ = process.communicate(timeout=30)
    assert process.returncode == status, output
    assert left_behind(process) == []
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize("executor", ["serial", "local", "processes"])
def test_two_signals(executor: str, tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """The second comes while the first is being seen to: an end all the same, and nothing is lost."""
    shared = set(Path("/dev/shm").iterdir())
    process = start(tmp_path, *small(caches, "--executor", executor, "-c", "2"))
    assert wait_for(lambda: recorded(tmp_path) > 100_000, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    ended(process, 130)
    assert set(Path("/dev/shm").iterdir()) <= shared
    run = only_run(tmp_path)
    optimize(tmp_path, "--resume", run, "--cache-dir", caches)
    assert same_run(run, undisturbed)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_while_workers_start(workers: int, tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """It reaches the whole group: no worker dies of it with a traceback."""
    process = start(tmp_path, *small(caches, "--executor", "processes", "-c", str(workers)))
    assert wait_for(lambda: len(members_of_group(process.pid)) > workers, process)
    os.killpg(process.pid, signal.SIGINT)
    output = ended(process, 130)
    assert "was lost" not in output


def test_sigterm_while_data_are_prepared(tmp_path: Path) -> None:
    """As Ctrl-C: status 130, no run, no half-written dataset that a next run would take."""
    args = [TEMPLATE, *SMALL, "-sd", "2021-01-01", "--cache-dir", tmp_path / "caches"]
    process = start(tmp_path, *args)
    assert wait_for((tmp_path / "caches").exists, process)
    process.send_signal(signal.SIGTERM)
    output = ended(process, 130)
    assert output.splitlines()[-1] == "interrupted"
    assert not (tmp_path / "optimize_results").exists()


def test_one_process_a_run(tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """A run that is under way cannot be resumed beside itself; it is not disturbed by the attempt."""
    process = start(tmp_path, *small(caches, "--executor", "local", "-c", "1"))
    assert wait_for(lambda: recorded(tmp_path) > 0, process)
    process.send_signal(signal.SIGSTOP)
    try:
        result = optimize(tmp_path, "--resume", only_run(tmp_path), "--cache-dir", caches, expect=1)
    finally:
        process.send_signal(signal.SIGCONT)
    assert "another process is writing" in result.stderr.splitlines()[-1]
    ended(process, 0)
    assert same_run(only_run(tmp_path), undisturbed)


def assert_full(stderr: str) -> None:
    """The last line names the file and the cause."""
    assert re.match(
        r"error: cannot write optimize_results/.*: (the disk is full|No space left)", stderr.splitlines()[-1]
    )
    assert "Traceback" not in stderr


@pytest.mark.parametrize(("executor", "room"), [("local", 600_000), ("processes", 1 << 20)])
def test_a_full_disk(executor: str, room: int, full_disk: Path, caches: Path, undisturbed: Path) -> None:
    """No room in mid-run: status 1, the file and the cause, nothing in part, and the rest once there is room."""
    fill(full_disk, room)
    result = optimize(full_disk, *small(caches, "--executor", executor, "-c", "2"), expect=1)
    run = only_run(full_disk)
    assert_full(result.stderr)
    assert 0 < len(records(run)) < run_info(undisturbed)["records"]
    give_room(full_disk)
    optimize(full_disk, "--resume", run, "--cache-dir", caches)
    assert same_run(run, undisturbed)
    assert not list(full_disk.rglob("*.tmp"))


def test_a_disk_without_any_room(full_disk: Path, caches: Path, undisturbed: Path) -> None:
    """Not even the files of a new run fit: one line, and a start with room is as any."""
    fill(full_disk, 8_000)
    result = optimize(full_disk, *small(caches), expect=1)
    assert_full(result.stderr)
    give_room(full_disk)
    shutil.rmtree(full_disk / "optimize_results")
    optimize(full_disk, *small(caches, "-c", "2"))
    assert same_run(only_run(full_disk), undisturbed)


def test_stopped_while_lost_records_are_made_again(tmp_path: Path, caches: Path, undisturbed: Path) -> None:
    """A resumed run that is stopped before it has caught up with its checkpoint can be resumed again."""
    optimize(tmp_path, *small(caches, "-c", "2"))
    run = only_run(tmp_path)
    os.truncate(run / "all_results.bin", 10)
    process = start(tmp_path, "--resume", run, "--cache-dir", caches, "--executor", "serial")
    assert wait_for(lambda: recorded(tmp_path) > 100_000, process)
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    assert len(records(run)) < run_info(undisturbed)["records"]
    optimize(tmp_path, "--resume", run, "--cache-dir", caches)
    assert same_run(run, undisturbed)
