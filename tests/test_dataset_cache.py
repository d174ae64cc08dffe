"""Stored datasets: their key, when they are reused and when made anew (`candles.md` 16, `additions.md` 11)."""

from __future__ import annotations

import json
import logging
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candles.first_timestamps import lower_first_timestamps
from core.dates import date_to_ts
from core.errors import RunError
from simulation.dataset import Dataset, prepare_dataset
from simulation.request import DatasetRequest
from test_dataset import CLOCK, candles, fill_cache, request


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    fill_cache(tmp_path, {"BTC": candles("2023-11-13", "2023-11-16"), "ETH": candles("2023-11-13", "2023-11-16", 9.0)})
    return tmp_path


def prepare(wanted: DatasetRequest, caplog: pytest.LogCaptureFixture) -> tuple[Dataset, str]:
    """The dataset, and what was logged about it."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        dataset = prepare_dataset(wanted, clock=CLOCK)
    return dataset, caplog.text


def test_key() -> None:
    """The worked example; a number written otherwise is another key."""
    wanted = replace(
        request(Path(), "BTC ETH", exchanges=("binance", "bybit"), coin_sources={"ETH": "bybit"}),
        warmup_minutes=44820, start_date="2021-03-01", end_date="2025-12-31", minimum_coin_age_days=180,
    )  # fmt: skip
    assert wanted.key == "cb6fac31c5639dc6"
    assert replace(wanted, exchanges=("binance",), combined=False).key == "8c8b9dbb8c2957f5"
    assert replace(wanted, minimum_coin_age_days=180.0).key != wanted.key
    assert replace(wanted, coins={"long": ("ETH", "BTC", "BTC"), "short": ("BTC",)}).key == wanted.key


@pytest.mark.parametrize("compress", [False, True])
def test_reuse(cache: Path, caplog: pytest.LogCaptureFixture, compress: bool) -> None:
    """A second run finds the same arrays, read-only, plain ones mapped from disk."""
    wanted = request(cache, "BTC ETH", compress=compress)
    first, _ = prepare(wanted, caplog)
    stamp = (first.directory / "manifest.json").stat().st_mtime_ns
    second, text = prepare(wanted, caplog)
    assert "is reused: 1691 minutes, 2 coins" in text
    assert (first.directory / "manifest.json").stat().st_mtime_ns == stamp
    for name in ("hlcvs", "btc_usd", "timestamps"):
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)
        assert not getattr(second, name).flags.writeable
        assert isinstance(getattr(second, name), np.memmap) is not compress
    assert (first.markets, first.meta, first.coins) == (second.markets, second.meta, second.coins)
    suffix = ".npy.gz" if compress else ".npy"
    assert sorted(path.name for path in first.directory.iterdir()) == sorted(
        ["coins.json", "market_specific_settings.json", "manifest.json"]
        + [name + suffix for name in ("hlcvs", "timestamps", "btc_usd_prices")]
    )
    assert json.loads((first.directory / "coins.json").read_text()) == ["BTC", "ETH"]
    manifest = json.loads((first.directory / "manifest.json").read_text())
    assert manifest["arrays"]["hlcvs"] == ["float64", [1691, 2, 4]]
    assert manifest["coins"]["ETH"] == {"exchange": "local", "real_rows": 1691, "filled_rows": 0, "gaps": 0}


def test_manifest_counts_gaps(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It tells where each coin's candles come from, how many are real, and how many were filled in how many gaps."""
    history = candles("2023-11-13", "2023-11-16")
    late = date_to_ts("2023-11-14T20:00")
    minute = (history["ts"] - date_to_ts("2023-11-14T12:00")) // 60_000
    holes = ((minute >= 0) & (minute < 5)) | (minute == 30) | (history["ts"] > late)
    fill_cache(cache, {"BTC": history, "GAP": history[~holes]})
    dataset, _ = prepare(request(cache, "BTC GAP"), caplog)
    facts = json.loads((dataset.directory / "manifest.json").read_text())["coins"]["GAP"]
    assert facts == {"exchange": "local", "real_rows": 1691 - 246, "filled_rows": 246, "gaps": 2}


def new_candles(directory: Path) -> None:
    fill_cache(
        directory.parents[1],
        {"BTC": candles("2023-11-14", "2023-11-16", 77.0), "ETH": candles("2023-11-13", "2023-11-16", 9.0)},
    )


def new_market(directory: Path) -> None:
    path = directory.parents[1] / "local" / "markets.json"
    path.write_text(path.read_text().replace("0.001", "0.002"))


def broken_array(directory: Path) -> None:
    path = directory / "hlcvs.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def shorter_array(directory: Path) -> None:
    (directory / "btc_usd_prices.npy").write_bytes((directory / "btc_usd_prices.npy").read_bytes()[:-8])


def no_manifest(directory: Path) -> None:
    (directory / "manifest.json").unlink()


def half_a_manifest(directory: Path) -> None:
    (directory / "manifest.json").write_text('{"version": 1')


def older_version(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 0}))


def edited_settings(directory: Path) -> None:
    path = directory / "market_specific_settings.json"
    path.write_text(path.read_text().replace("0.0002", "0.0001"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (new_candles, "the candles of BTC on local have changed"),
        (new_market, "market settings or listing dates have changed"),
        (broken_array, "hlcvs.npy is missing or not the one that was written"),
        (shorter_array, "btc_usd_prices.npy is missing or not the one"),
        (no_manifest, "manifest.json"),
        (half_a_manifest, "manifest.json cannot be read as JSON"),
        (older_version, "it is of version 0"),
        (edited_settings, "market_specific_settings.json is missing or not the one"),
    ],
)
def test_rebuilding(cache: Path, caplog: pytest.LogCaptureFixture, change: Callable[[Path], None], reason: str) -> None:
    """Whatever went in or lies there differently makes it anew, with one line that says why."""
    wanted = request(cache, "BTC ETH")
    first, _ = prepare(wanted, caplog)
    change(first.directory)
    _, text = prepare(wanted, caplog)
    assert text.count("is prepared anew") == 1
    assert reason in text
    assert "is reused" in prepare(wanted, caplog)[1]


def test_what_does_not_matter(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files that were only touched or copied, candles outside of the range, and settings of other coins."""
    wanted = request(cache)
    first, _ = prepare(wanted, caplog)
    store = fill_cache(cache, {"BTC": candles("2024-01-01", "2024-01-02"), "SOL": candles("2023-11-13", "2023-11-16")})
    for path in [*store.files("BTC/USDT:USDT"), *first.directory.iterdir()]:
        os.utime(path, (1.0, 1.0))
    assert "is reused" in prepare(wanted, caplog)[1]


def test_forced_refetch_and_other_compression(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both make the dataset anew."""
    wanted = request(cache)
    prepare(wanted, caplog)
    assert "is reused" not in prepare(replace(wanted, force_refetch_gaps=True), caplog)[1]
    assert "compress_cache" in prepare(replace(wanted, compress=True), caplog)[1]


def test_listing_dates_are_part_of_it(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Learning of an earlier listing elsewhere changes from when on a young coin counts."""
    wanted = request(cache, "BTC ETH", minimum_coin_age_days=1)
    dataset, _ = prepare(wanted, caplog)
    assert dataset.timestamps[0] == date_to_ts("2023-11-14")
    lower_first_timestamps(cache, "other", {"ETH": date_to_ts("2020")})
    dataset, text = prepare(wanted, caplog)
    assert "market settings or listing dates have changed" in text
    assert dataset.timestamps[0] == date_to_ts("2023-11-13T19:50")
    assert dataset.markets["BTC"]["first_valid_index"] == 250


def test_leftovers_of_killed_builders(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half-built directories of the same dataset go, those of others stay."""
    wanted = request(cache)
    root = cache / "hlcvs_data"
    own, other = root / f".{wanted.key}.123.ab.tmp", root / ".0123456789abcdef.9.cd.tmp"
    for directory in (own, other):
        directory.mkdir(parents=True)
    prepare(wanted, caplog)
    assert not own.exists()
    assert other.exists()


def test_full_disk(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One clear error, nothing half-written, and the dataset that was there is still there."""
    wanted = request(cache)
    first, _ = prepare(wanted, caplog)
    before = sorted(path.name for path in first.directory.parent.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(RunError, match=f"cannot write dataset .*{wanted.key}: .*; free some space"):
            prepare_dataset(replace(wanted, force_refetch_gaps=True), clock=CLOCK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in first.directory.parent.iterdir()) == before
    assert "is reused" in prepare(wanted, caplog)[1]
