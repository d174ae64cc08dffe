"""What a run leaves on the disk, and what is made of it after a cut, a loss, a full disk (13.5, 13.6, 6.2, 6.4)."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from core.errors import DataError, RunError
from optimization.candidates_log import CandidateFormat, DoneCandidate
from optimization.checkpoint import read_checkpoint
from optimization.duplicates import identity
from optimization.recorder import Recorder, Restored
from optimization.results_log import load_results
from optimization.run_files import RunFiles
from optimization.run_logs import RecordSettings
from optimization.samplers.protocol import Fitness
from search_parts import FakeExecutor, FakeSearch, Shape
from test_search_driver import stopped_at

SECTIONS: dict[str, Any] = {"backtest": {"a": 1}, "coin_overrides": {}, "live": {"b": 2}, "logging": {}, "optimize": {}}
RECORDS, AT_CHECKPOINT = 5, 3


def recorder(directory: Path, *, write_all: bool = True, compress: bool = False) -> Recorder:
    directory.mkdir(exist_ok=True)
    layout = CandidateFormat(genes=2, objectives=2)
    settings = RecordSettings(SECTIONS, layout, "id", 3, 10, write_all=write_all, compress=compress)
    found = Recorder(RunFiles(directory), settings)
    found.open()
    return found


def candidate(number: int) -> tuple[DoneCandidate, dict[str, Any]]:
    """A candidate on a front: none dominates another."""
    vector = (float(number), 1.5)
    fitness = Fitness((float(number), float(-number)), 0.0)
    objectives = {"w_0": fitness.objectives[0], "w_1": fitness.objectives[1]}
    varying = {
        "bot": {"long": {"a": vector[0]}, "short": {"b": vector[1]}},
        "metrics": {"stats": {}, "objectives": objectives, "constraint_violation": 0.0},
    }
    return DoneCandidate(identity(vector), True, vector, fitness), varying


def written(directory: Path, *, compress: bool = False, write_all: bool = True) -> Recorder:
    """A run of five records that was killed after three had come into a checkpoint."""
    one = recorder(directory, compress=compress, write_all=write_all)
    for number in range(RECORDS):
        if number == AT_CHECKPOINT:
            one.write_checkpoint(one.snapshot({}))
        one.record(*candidate(number))
    one.close()
    return one


def gone_on(directory: Path, *, compress: bool = False) -> tuple[Recorder, Restored]:
    """Resume and record what is missing, the metrics of known candidates taken from what the log has."""
    one = recorder(directory, compress=compress)
    restored = one.restore(read_checkpoint(one.files))
    for number in restored.logs.lost_records:
        one.rewrite(candidate(number)[1], number)
    one.restore_archive(restored.archive)
    for number in range(AT_CHECKPOINT, RECORDS):
        done, varying = candidate(number)
        known = restored.logs.tail.get(done.key)
        assert known is None or known == {"metrics": varying["metrics"]}
        one.record(done, {**varying, **(known or {})})
    one.close()
    return one, restored


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("compress", [False, True])
def test_results_cut_at_every_byte(compress: bool, tmp_path: Path) -> None:
    """Whatever is left of the results: the rest is written again, and all files are as if nothing had happened."""
    place = tmp_path / "run"
    whole = written(place, compress=compress)
    files, expected = whole.files, content(place)
    with files.results.open("rb") as file:
        unpacker = msgpack.Unpacker(file)
        ends = [unpacker.tell() for _ in unpacker]
    for size in range(len(expected["all_results.bin"])):
        files.results.write_bytes(expected["all_results.bin"][:size])
        files.candidates.write_bytes(expected["candidates.bin"])
        one, restored = gone_on(place, compress=compress)
        kept = sum(end <= size for end in ends)
        assert list(restored.logs.lost_records) == list(range(kept, AT_CHECKPOINT))
        assert len(restored.logs.tail) == max(0, kept - AT_CHECKPOINT)
        assert one.records_sha256 == whole.records_sha256
        assert content(place) == expected


def test_candidates_cut_at_every_byte(tmp_path: Path) -> None:
    """What the checkpoint counts on must be there: the message says what to do else. The rest is made anew."""
    place = tmp_path / "run"
    whole = written(place)
    files, expected = whole.files, content(place)
    needed = AT_CHECKPOINT * CandidateFormat(2, 2).size
    for size in range(len(expected["candidates.bin"])):
        files.results.write_bytes(expected["all_results.bin"])
        files.candidates.write_bytes(expected["candidates.bin"][:size])
        if size < needed:
            with pytest.raises(DataError, match=r"candidates\.bin ends after \d of 3 candidates.*--start .*pareto"):
                gone_on(place)
        else:
            assert gone_on(place)[0].records_sha256 == whole.records_sha256
            assert content(place) == expected


def test_checkpoint_cut_at_every_byte(tmp_path: Path) -> None:
    """Half a checkpoint is none, and none is told with what to do instead."""
    files = written(tmp_path / "run").files
    packed = files.checkpoint.read_bytes()
    for size in range(len(packed)):
        files.checkpoint.write_bytes(packed[:size])
        with pytest.raises(DataError, match=r"checkpoint\.msgpack is .*: the run cannot be resumed; start a new run"):
            read_checkpoint(files)
    files.checkpoint.unlink()
    with pytest.raises(DataError, match=r"has no checkpoint.*--start .*run/pareto"):
        read_checkpoint(files)


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "no member"])
@pytest.mark.parametrize("which", range(AT_CHECKPOINT))
def test_lost_members_are_made_of_their_records(damage: str, which: int, tmp_path: Path) -> None:
    """A member's file that is gone or damaged comes back to the byte."""
    place = tmp_path / "run"
    expected = content(written(place).files.directory)
    path = sorted((place / "pareto").glob("*.json"), key=lambda p: json.loads(p.read_text())["bot"]["long"]["a"])[which]
    whole = path.read_text()
    path.write_text({"empty": "", "half": whole[: len(whole) // 2], "no member": "{}", "missing": ""}[damage])
    if damage == "missing":
        path.unlink()
    gone_on(place)
    assert content(place) == expected


def test_lost_members_without_records(tmp_path: Path) -> None:
    """Where records are not written, a lost member cannot come back: it is told, with what to do instead."""
    place = tmp_path / "run"
    written(place, write_all=False)
    assert not (place / "all_results.bin").exists()
    one = recorder(place, write_all=False)
    restored = one.restore(read_checkpoint(one.files))
    assert (restored.logs.tail, list(restored.logs.lost_records)) == ({}, [])
    (place / "pareto" / f"{restored.archive[0]}.json").unlink()
    with pytest.raises(DataError, match=r"has lost 1 members.*--start .*pareto"):
        one.restore_archive(restored.archive)


def test_members_stay_while_a_checkpoint_needs_them(tmp_path: Path) -> None:
    """Also a checkpoint that is written later than it was taken; then what nobody needs goes."""
    one = recorder(tmp_path / "run", write_all=False)
    one.record(*candidate(0))
    one.write_checkpoint(one.snapshot({}))
    one.record(*candidate(1))
    taken = one.snapshot({})
    members = set(one.files.pareto.iterdir())
    assert len(members) == 2
    done, varying = candidate(9)
    better = Fitness((-9.0, -9.0), 0.0)
    best = {**varying, "metrics": {**varying["metrics"], "objectives": {"w_0": -9.0, "w_1": -9.0}}}
    one.record(DoneCandidate(done.key, True, done.genome, better), best)
    assert len(one.archive) == 1
    assert members <= set(one.files.pareto.iterdir())
    one.write_checkpoint(taken)
    assert members <= set(one.files.pareto.iterdir())
    one.write_checkpoint(one.snapshot({}))
    assert [path.stem for path in one.files.pareto.iterdir()] == one.archive.ids


def test_one_process_a_run(tmp_path: Path) -> None:
    """A second writer is turned away; once the first has closed, it may."""
    first = recorder(tmp_path / "run")
    with pytest.raises(RunError, match=r"another process is writing .*run: wait for it"):
        recorder(tmp_path / "run")
    first.close()
    recorder(tmp_path / "run").close()


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """What a full disk looks like to one who may mount none: a write comes back short, the next is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [40_000, 400_000, 400_001, 1_000_000])
@pytest.mark.parametrize("interval_s", [0.0, 60.0])
def test_a_full_disk_ends_the_run_and_the_rest_can_follow(size: int, interval_s: float, tmp_path: Path) -> None:
    """The error names the file; when there is room again, the run goes on as if there had always been."""
    plain = FakeSearch(tmp_path / "plain", FakeExecutor()).run()
    place = tmp_path / "run"
    with files_no_longer_than(size), pytest.raises(RunError, match=r"cannot write .*/run/"):
        FakeSearch(place, FakeExecutor(3, order=1), interval_s=interval_s).run()
    assert FakeSearch(place, FakeExecutor(3, order=1), resume=True).run().result == plain.result


def test_members_that_cannot_be_written(tmp_path: Path) -> None:
    """An archive that loses its folder in mid-run ends the run; once it is back, the rest can follow."""
    plain = FakeSearch(tmp_path / "plain", FakeExecutor()).run()
    place = tmp_path / "run"

    def take_away(_: FakeExecutor) -> None:
        if search.recorder.records > 30 and not search.files.pareto.is_symlink():
            search.files.pareto.rename(place / "elsewhere")
            search.files.pareto.symlink_to("nowhere")

    search = FakeSearch(place, FakeExecutor(2, order=1, on_poll=take_away))
    with pytest.raises(RunError, match="cannot write"):
        search.run()
    search.files.pareto.unlink()
    (place / "elsewhere").rename(search.files.pareto)
    assert FakeSearch(place, FakeExecutor(), resume=True).run().result == plain.result


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("write_all", [False, True])
def test_stopped_and_resumed(compress: bool, write_all: bool, tmp_path: Path) -> None:
    """Compressed or not, records written or not: equal runs. A compressed file goes on as it would have."""
    shape = Shape(iters=150, population=30, chunk=30, lag=2, write_all=write_all, compress=compress, max_size=3)
    plain = FakeSearch(tmp_path / "plain", FakeExecutor(), shape).run()
    for number, stop_at in enumerate((20, 95, 130, None)):
        search = FakeSearch(tmp_path / "other", FakeExecutor(3, number), shape, resume=number > 0)
        stopped_at(search, stop_at)
    assert search.result == plain.result
    assert search.files.results.exists() is write_all
    if write_all:
        names = ("results_dir", "results_filename")
        one, other = (
            [{k: v for k, v in entry.items() if k not in names} for entry in load_results(run.files.results)]
            for run in (plain, search)
        )
        assert one == other
        raw = list(msgpack.Unpacker(search.files.results.open("rb"), raw=False))
        complete = [number for number, entry in enumerate(raw) if "live" in entry]
        assert complete == ([0, 100] if compress else list(range(len(raw))))
        assert all({"bot", "metrics"} <= entry.keys() for entry in raw)
