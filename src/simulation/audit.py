"""Checking and comparing prepared datasets on disk (`candles.md` 21.1)."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.dates import ts_to_date
from core.errors import DataError, UsageError
from core.files import read_json
from simulation.dataset_cache import COINS

ARRAYS = ("hlcvs", "timestamps", "btc_usd_prices")
CHUNK_BYTES = 1 << 24
CHUNK_ROWS = 1 << 16

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What a directory holds; None for what was not looked at. Hashes are those of the unpacked `.npy` files.

    `errors` tell what is missing, damaged, or does not go together.
    """

    path: str
    hlcvs_sha256: str | None = None
    timestamps_sha256: str | None = None
    btc_usd_prices_sha256: str | None = None
    rows: int | None = None
    coins: int | None = None
    nan: int | None = None
    first: str | None = None
    last: str | None = None
    ordered: bool | None = None
    errors: tuple[str, ...] = ()


def find_datasets(path: Path) -> list[Path]:
    """The directory itself if it is a dataset, else those in it. Raises UsageError if it is not there."""
    if not path.is_dir():
        raise UsageError(f"{path} is no directory; name a dataset or a directory of datasets")
    if _is_dataset(path):
        return [path]
    return sorted(child for child in path.iterdir() if not child.name.startswith(".") and _is_dataset(child))


def _is_dataset(path: Path) -> bool:
    return path.is_dir() and any((path / f"{name}{end}").exists() for name in ARRAYS for end in (".npy", ".npy.gz"))


def summarize(path: Path, *, fast: bool = False) -> DatasetSummary:
    """Look at a dataset, compressed or plain; `fast` takes the hashes only."""
    errors: list[str] = []
    files = {name: _file_of(path, name, errors) for name in ARRAYS}
    hashes = {name: _sha256(file, errors) for name, file in files.items()}
    summary = DatasetSummary(str(path), hashes["hlcvs"], hashes["timestamps"], hashes["btc_usd_prices"])
    if fast:
        return replace(summary, errors=tuple(errors))
    arrays = {name: _load(file, errors) if file and hashes[name] else None for name, file in files.items()}
    cube, ts = arrays["hlcvs"], arrays["timestamps"]
    coins = _coins(path, errors)
    errors += _mismatches(arrays, coins)
    return replace(
        summary,
        rows=None if cube is None else len(cube),
        coins=coins,
        nan=None if cube is None else _count_nan(cube),
        first=None if ts is None or not len(ts) else ts_to_date(int(ts[0])),
        last=None if ts is None or not len(ts) else ts_to_date(int(ts[-1])),
        ordered=None if ts is None else bool((np.diff(ts) >= 0).all()),
        errors=tuple(errors),
    )


def differences(a: DatasetSummary, b: DatasetSummary) -> dict[str, tuple[Any, Any]]:
    """The fields in which two datasets differ, wherever they are."""
    one, other = asdict(a), asdict(b)
    return {
        name: (one[name], other[name]) for name in one if name not in ("path", "errors") and one[name] != other[name]
    }


def _file_of(path: Path, name: str, errors: list[str]) -> Path | None:
    """The plain file, else the compressed one."""
    found = next((file for end in (".npy", ".npy.gz") if (file := path / f"{name}{end}").exists()), None)
    if found is None:
        errors.append(f"{name} is missing")
    return found


def _sha256(file: Path | None, errors: list[str]) -> str | None:
    if file is None:
        return None
    digest = hashlib.sha256()
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as content:
            while chunk := content.read(CHUNK_BYTES):
                digest.update(chunk)
    except (OSError, EOFError) as exc:
        errors.append(f"{file.name} cannot be read: {exc}")
        return None
    return digest.hexdigest()


def _load(file: Path, errors: list[str]) -> npt.NDArray[Any] | None:
    """The array, mapped if it is plain; None for a file that has no array, which is noted."""
    try:
        if file.suffix != ".gz":
            mapped: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
            return mapped
        with gzip.open(file, "rb") as content:
            array: npt.NDArray[Any] = np.load(content, allow_pickle=False)
            return array
    except (OSError, ValueError, EOFError) as exc:
        errors.append(f"{file.name} cannot be read: {exc}")
        return None


def _coins(path: Path, errors: list[str]) -> int | None:
    try:
        return len(read_json(path / COINS))
    except FileNotFoundError:
        errors.append(f"{COINS} is missing")
    except (DataError, TypeError):
        errors.append(f"{COINS} is no list of coins")
    return None


def _mismatches(arrays: dict[str, npt.NDArray[Any] | None], coins: int | None) -> list[str]:
    """Where shapes and times do not go together."""
    cube, ts, btc = arrays["hlcvs"], arrays["timestamps"], arrays["btc_usd_prices"]
    wrong = []
    if cube is not None and (cube.ndim != 3 or cube.shape[2] != 4):
        wrong.append(f"hlcvs has shape {cube.shape}, not minutes x coins x 4")
    elif cube is not None and coins is not None and cube.shape[1] != coins:
        wrong.append(f"hlcvs has {cube.shape[1]} coins, {COINS} lists {coins}")
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        wrong.append("rows differ: " + ", ".join(f"{name} {count}" for name, count in lengths.items()))
    if ts is not None and (np.diff(ts) < 0).any():
        wrong.append("timestamps do not ascend")
    if btc is not None and np.isnan(btc).any():
        wrong.append(f"btc_usd_prices has {int(np.isnan(btc).sum())} NaN")
    return wrong


def _count_nan(cube: npt.NDArray[Any]) -> int:
    return sum(int(np.isnan(cube[i : i + CHUNK_ROWS]).sum()) for i in range(0, len(cube), CHUNK_ROWS))
