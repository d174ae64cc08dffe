"""Killed at any moment, an import leaves a readable store, and importing again completes it (`candles.md` 20.4)."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from candles.disk.store import CandleStore
from candles.importing import importer
from candles.importing.importer import ImportRequest, run_import
from core.clock import MINUTE_MS as M
from core.clock import SystemClock
from core.dates import date_to_ts
from markets.candle import CANDLE_DTYPE, IMPORT, Candles

COINS = ("AAA", "BBB")
T0 = date_to_ts("2023-11-29")
# What replaces files, in the order an import does it; dying before the n-th call is dying at one of its steps.
REPLACING = ("os.rename", "os.replace", "os.remove", "os.truncate", "open")


def candles(coin: str) -> Candles:
    """A row every minute of five days, across the ends of two months."""
    out = np.empty(5 * 1440, CANDLE_DTYPE)
    out["ts"] = T0 + M * np.arange(len(out))
    prices = np.random.default_rng(COINS.index(coin)).random(len(out)) + 5.0
    for name, offset in (("o", 0.0), ("h", 1.0), ("l", -1.0), ("c", 0.5), ("bv", 3.0)):
        out[name] = prices + offset
    out["src"] = IMPORT
    return out


def request(folder: Path) -> ImportRequest:
    return ImportRequest(
        inputs=tuple(folder / f"{coin}.npy" for coin in COINS),
        exchange="local",
        settings=folder / "settings.json",
        cache_dir=folder / "caches",
    )


def _import_and_die(folder: Path, steps: int) -> None:
    """Import, and be killed at the n-th time a file of the cache is opened for writing, replaced or removed."""
    left = steps

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event not in REPLACING or "caches" not in str(args[0]) or (event == "open" and not _writes(args)):
            return
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    run_import(request(folder), SystemClock())


def _writes(args: tuple[object, ...]) -> bool:
    flags = args[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _import_onto_small_disk(folder: Path, size: int) -> None:
    """Import, and be killed by the system in the middle of writing the first file that grows beyond `size`."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_import(request(folder), SystemClock())


def _died(import_and_die: Callable[[Path, int], None], folder: Path, at: int) -> bool:
    """Whether the import was killed; False when it finished before."""
    context = multiprocessing.get_context("forkserver")  # forks of a process without threads, imports done once
    context.set_forkserver_preload(["candles.importing.importer"])
    process = context.Process(target=import_and_die, args=(folder, at))
    process.start()
    process.join()
    return process.exitcode in (-signal.SIGKILL, -signal.SIGXFSZ)


def check(folder: Path) -> int:
    """Every file reads cleanly and holds nothing wrong; the number of rows there are."""
    store = CandleStore(folder / "caches", "local", SystemClock())
    count = 0
    for coin in COINS:
        read = store.read(f"{coin}/USDT:USDT")
        assert np.array_equal(read, candles(coin)[np.isin(candles(coin)["ts"], read["ts"])])
        store.read_meta(f"{coin}/USDT:USDT")
        count += len(read)
    for path in (folder / "caches").rglob("*.json"):
        json.loads(path.read_text())
    return count


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(importer.__file__).parents[1]))  # for the fork server
    for coin in COINS:
        np.save(tmp_path / f"{coin}.npy", candles(coin))
    market = {"price_step": 0.1, "qty_step": 0.1, "maker_fee": 0.0002, "taker_fee": 0.0005}
    (tmp_path / "settings.json").write_text(json.dumps({"coins": dict.fromkeys(COINS, market)}))
    return tmp_path


def test_killed_at_every_step(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After each death the store is sound; the undisturbed last import has everything."""
    step = 0
    while _died(_import_and_die, folder, step):
        check(folder)
        step += 3
    assert step > 15
    assert check(folder) == 2 * 5 * 1440
    assert not caplog.records
    store = CandleStore(folder / "caches", "local", SystemClock())
    assert all(store.read_meta(f"{coin}/USDT:USDT").inception_source == "import" for coin in COINS)
    assert len(json.loads((folder / "caches" / "local" / "markets.json").read_text())) == 2


@pytest.mark.parametrize("size", [10, 1000, 50_000, 90_000])
def test_killed_while_writing(folder: Path, size: int, caplog: pytest.LogCaptureFixture) -> None:
    """A file that was cut off in the middle never takes the place of another."""
    assert _died(_import_onto_small_disk, folder, size)
    check(folder)
    assert not caplog.records
    run_import(request(folder), SystemClock())
    assert check(folder) == 2 * 5 * 1440
    files = [path for path in (folder / "caches").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert max(path.stat().st_size for path in files) > size
