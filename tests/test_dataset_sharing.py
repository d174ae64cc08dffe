"""Datasets in worker processes, and the check before a search (`candles.md` 15.8, 16)."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from core.errors import DataError, RunError
from sharing_workers import fail, look
from simulation import sharing
from simulation.checks import check_dataset
from simulation.dataset import Dataset, prepare_dataset
from simulation.sharing import SharedDataset, attached_dataset, shared_dataset
from test_dataset import CLOCK, candles, fill_cache, request


def prepared(cache: Path, compress: bool = False) -> Dataset:
    history = candles("2023-11-13", "2023-11-16")
    fill_cache(cache, {"BTC": history, "ETH": history, "NEW": candles("2023-11-14T10:00", "2023-11-16", 7.0)})
    return prepare_dataset(request(cache, "BTC ETH NEW", compress=compress), clock=CLOCK)


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    """Two spawned processes: nothing is inherited."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def expected(dataset: Dataset, *, mapped: bool) -> tuple[float, float, int, bool, bool, int]:
    total = float(np.nansum(dataset.hlcvs))
    return total, float(dataset.btc_usd.sum()), int(dataset.timestamps[0]), mapped, True, len(dataset.coins)


def blocks_exist(shared: SharedDataset) -> list[bool]:
    def exists(name: str) -> bool:
        try:
            SharedMemory(name).close()
        except FileNotFoundError:
            return False
        return True

    return [exists(array.name) for array in shared.arrays.values()]


def test_plain_datasets_are_shared_by_their_files(tmp_path: Path, workers: ProcessPoolExecutor) -> None:
    """Every worker maps the stored files themselves; nothing is copied or left."""
    dataset = prepared(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with shared_dataset(dataset) as shared:
        assert {array.name for array in shared.arrays.values()} == {
            str(dataset.directory / name) for name in ("hlcvs.npy", "btc_usd_prices.npy", "timestamps.npy")
        }
        assert list(workers.map(look, [shared] * 4)) == [expected(dataset, mapped=True)] * 4
        assert sorted(tmp_path.rglob("*")) == before
    assert sorted(tmp_path.rglob("*")) == before


def test_compressed_datasets_are_written_out_once(tmp_path: Path, workers: ProcessPoolExecutor) -> None:
    """They are unpacked beside their place while they are shared."""
    dataset = prepared(tmp_path, compress=True)
    before = sorted(tmp_path.rglob("*"))
    with shared_dataset(dataset) as shared:
        assert all(Path(array.name).is_file() for array in shared.arrays.values())
        assert list(workers.map(look, [shared] * 2)) == [expected(dataset, mapped=True)] * 2
    assert sorted(tmp_path.rglob("*")) == before


def test_parts_are_no_whole_files(tmp_path: Path, workers: ProcessPoolExecutor) -> None:
    """A slice of a mapped dataset is shared as the slice that it is."""
    dataset = prepared(tmp_path)
    part = replace(dataset, hlcvs=dataset.hlcvs[100:900], btc_usd=dataset.btc_usd[100:900])
    with shared_dataset(part) as shared:
        assert shared.arrays["hlcvs"].shape == (800, 3, 4)
        assert workers.submit(look, shared).result() == expected(part, mapped=True)


def test_shared_memory(tmp_path: Path, workers: ProcessPoolExecutor) -> None:
    """Blocks hold the same numbers, read-only; they are gone afterwards."""
    dataset = prepared(tmp_path)
    with shared_dataset(dataset, in_memory=True) as shared:
        assert list(workers.map(look, [shared] * 4)) == [expected(dataset, mapped=False)] * 4
        assert blocks_exist(shared) == [True] * 3
    assert blocks_exist(shared) == [False] * 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_errors(tmp_path: Path, workers: ProcessPoolExecutor, error: type[BaseException]) -> None:
    """Whatever stops the parent, and if workers failed, blocks and unpacked files are removed."""
    dataset = prepared(tmp_path, compress=True)
    before = sorted(tmp_path.rglob("*"))
    seen = []
    for in_memory in (True, False):
        with pytest.raises(error), shared_dataset(dataset, in_memory=in_memory) as shared:
            seen.append(shared)
            with pytest.raises(ValueError, match="worker failed at"):
                workers.submit(fail, shared).result()
            raise error
    assert blocks_exist(seen[0]) == [False] * 3
    assert sorted(tmp_path.rglob("*")) == before


def test_descriptors_are_small(tmp_path: Path) -> None:
    """What is pickled does not hold the arrays."""
    dataset = prepared(tmp_path)
    for in_memory in (False, True):
        with shared_dataset(dataset, in_memory=in_memory) as shared:
            assert len(pickle.dumps(shared)) < 10_000
            assert [array.dtype for array in shared.arrays.values()] == ["<f8", "<f8", "<i8"]


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """The worker's error names the file or block; its facts stay as they were."""
    dataset = prepared(tmp_path)
    for in_memory in (False, True):
        with shared_dataset(dataset, in_memory=in_memory) as shared:
            name = shared.arrays["hlcvs"].name
            gone = replace(shared.arrays["hlcvs"], name=f"{name}.gone")
        bad = SharedDataset(shared.facts, {**shared.arrays, "hlcvs": gone})
        with pytest.raises(DataError, match=r"gone cannot be opened by this process"), attached_dataset(bad):
            pass


def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room to unpack, shared memory is taken; without room there, the error says what to do."""
    dataset = prepared(tmp_path, compress=True)
    monkeypatch.setattr(sharing, "temporary_name", lambda path: Path("/proc/nowhere"))
    with shared_dataset(dataset) as shared, attached_dataset(shared) as attached:
        assert not shared.arrays["hlcvs"].in_file
        assert np.array_equal(attached.hlcvs, dataset.hlcvs, equal_nan=True)
        assert attached.markets == dataset.markets
        with pytest.raises(ValueError, match="read-only"):
            attached.hlcvs[0, 0, 0] = 1.0
        del attached
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(sharing.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(sharing, "SHARED_MEMORY", tmp_path)
    with pytest.raises(RunError, match="MiB of shared memory, 0 MiB are free"), shared_dataset(dataset):
        pass


# --- the check


def test_check(tmp_path: Path) -> None:
    """NaN before a coin's first candle is as it should be; infinite numbers, an empty cube, BTC holes are not."""
    dataset = prepared(tmp_path)
    check_dataset(dataset)
    cube, btc = np.array(dataset.hlcvs), np.array(dataset.btc_usd)
    assert np.isnan(cube[:850, 2]).all()
    bad = cube.copy()
    bad[900, 1, 3] = -np.inf
    with pytest.raises(DataError, match=r"volume of ETH at 2023-11-14T10:50:00 is -inf; remove the directory"):
        check_dataset(replace(dataset, hlcvs=bad))
    with pytest.raises(DataError, match="has no candle of BTC, ETH, NEW"):
        check_dataset(replace(dataset, hlcvs=np.full_like(cube, np.nan)))
    for value, text in ((np.nan, "nan"), (np.inf, "inf")):
        btc[1600] = value
        with pytest.raises(DataError, match=rf"BTC/USD price at 2023-11-14T22:30:00 is {text}"):
            check_dataset(replace(dataset, btc_usd=btc))


def test_check_looks_at_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cube is looked through in pieces; one without numbers says nothing about the others."""
    monkeypatch.setattr("simulation.checks.CHUNK_ROWS", 100)
    dataset = prepared(tmp_path)
    for row in (0, -1):
        cube = np.full_like(dataset.hlcvs, np.nan)
        cube[row] = dataset.hlcvs[row]
        check_dataset(replace(dataset, hlcvs=cube))
    cube[-1, 0, 0] = np.inf
    with pytest.raises(DataError, match="high of BTC at 2023-11-15T00:00:00 is inf"):
        check_dataset(replace(dataset, hlcvs=cube))
