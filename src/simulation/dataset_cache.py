"""Prepared datasets on disk, reused while nothing that went into them has changed (`candles.md` 16, `additions.md` 11).

    {cache}/hlcvs_data/{key}/  hlcvs.npy  timestamps.npy  btc_usd_prices.npy   (or .npy.gz: compress_cache)
                               coins.json  market_specific_settings.json  manifest.json

Plain arrays are mapped read-only; compressed ones are expanded into memory, once a process.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import Clock
from core.errors import DataError, RunError
from core.files import read_json, temporary_name, write_json

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
COINS = "coins.json"
SETTINGS = "market_specific_settings.json"
VERSION = 1
_ARRAYS = {"hlcvs": "float64", "timestamps": "int64", "btc_usd_prices": "float64"}

Array = npt.NDArray[Any]
Fingerprints = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DatasetContent:
    """What a directory holds. `settings` maps coins to market settings and `__meta__` to facts about the data.

    `notes` are warnings of the preparation, `left_out` maps coins without data to the reason; a later run on the same
    dataset repeats them.
    """

    coins: tuple[str, ...]
    settings: dict[str, dict[str, Any]]
    hlcvs: Array
    timestamps: Array
    btc_usd: Array
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] | None = None


class _Unusable(Exception):  # noqa: N818 - a reason to rebuild, no failure
    """Why a cached dataset cannot be used."""


def dataset_key(facts: Mapping[str, Any]) -> str:
    """The name of a dataset: 16 digits of the hash of its facts as JSON. How numbers are written matters."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def json_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_fingerprints(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Size, time and hash of files, by name."""
    return {path.name: _fingerprint(path) for path in paths}


def _fingerprint(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": _digest(path)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_unchanged(paths: Iterable[Path], known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether exactly the known files are there; only one that was touched is hashed."""
    by_name = {path.name: path for path in paths}
    return by_name.keys() == known.keys() and all(_unchanged(path, known[name]) for name, path in by_name.items())


def _unchanged(path: Path, known: Mapping[str, Any]) -> bool:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return False
    if stat.st_size != known["size"]:
        return False
    return bool(stat.st_mtime_ns == known["mtime_ns"] or _digest(path) == known["sha256"])


def load(directory: Path, *, compress: bool, is_current: Callable[[Fingerprints], str | None]) -> DatasetContent | None:
    """The dataset if it is whole and current, else None, with one log line saying why unless there is none.

    `is_current` gets the fingerprints stored with it and answers with what has changed, or None.
    """
    if not directory.is_dir():
        return None
    try:
        return _load(directory, compress, is_current)
    except (_Unusable, DataError, OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        logger.info("dataset %s is prepared anew: %s", directory, exc)
        return None


def _load(directory: Path, compress: bool, is_current: Callable[[Fingerprints], str | None]) -> DatasetContent:
    manifest = read_json(directory / MANIFEST)
    if manifest["version"] != VERSION:
        raise _Unusable(f"it is of version {manifest['version']}, not {VERSION}")
    if changed := is_current(manifest["fingerprints"]):
        raise _Unusable(changed)
    names = [COINS, SETTINGS, *(_file_name(name, compress) for name in _ARRAYS)]
    for name in names:
        if name not in manifest["files"]:
            raise _Unusable(f"{name} is missing: it was stored with the other setting of compress_cache")
        if not _unchanged(directory / name, manifest["files"][name]):
            raise _Unusable(f"{name} is missing or not the one that was written")
    arrays = {name: _read_array(directory / _file_name(name, compress)) for name in _ARRAYS}
    for name, array in arrays.items():
        if [array.dtype.name, list(array.shape)] != manifest["arrays"][name]:
            raise _Unusable(f"{name} is {array.dtype}{array.shape}, its manifest says {manifest['arrays'][name]}")
    return DatasetContent(
        coins=tuple(read_json(directory / COINS)),
        settings=read_json(directory / SETTINGS),
        hlcvs=arrays["hlcvs"],
        timestamps=arrays["timestamps"],
        btc_usd=arrays["btc_usd_prices"],
        notes=tuple(manifest["notes"]),
        left_out=dict(manifest["left_out"]),
    )


def _file_name(array: str, compress: bool) -> str:
    return f"{array}.npy.gz" if compress else f"{array}.npy"


def _read_array(path: Path) -> Array:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as file:
            array: Array = np.load(file, allow_pickle=False)
        array.flags.writeable = False
        return array
    mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def save(
    directory: Path,
    content: DatasetContent,
    *,
    compress: bool,
    fingerprints: Fingerprints,
    details: Mapping[str, Any],
    clock: Clock,
) -> None:
    """Write the dataset beside its place and put it there whole. Raises RunError when the disk refuses."""
    building = temporary_name(directory)
    try:
        building.mkdir(parents=True)
        _write_files(building, content, compress)
        manifest = {
            "version": VERSION,
            "created_at": clock.now_ms(),
            "arrays": {name: [a.dtype.name, list(a.shape)] for name, a in _arrays(content).items()},
            "files": file_fingerprints(building.iterdir()),
            "fingerprints": fingerprints,
            "notes": list(content.notes),
            "left_out": dict(content.left_out or {}),
            **details,
        }
        write_json(building / MANIFEST, manifest, indent=1)
        _put_in_place(building, directory)
    except OSError as exc:
        raise RunError(
            f"cannot write dataset {directory}: {exc.strerror or exc}; free some space or use another --cache-dir"
        ) from exc
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _arrays(content: DatasetContent) -> dict[str, Array]:
    values = (content.hlcvs, content.timestamps, content.btc_usd)
    return {name: np.ascontiguousarray(a, dtype) for (name, dtype), a in zip(_ARRAYS.items(), values, strict=True)}


def _write_files(directory: Path, content: DatasetContent, compress: bool) -> None:
    for name, array in _arrays(content).items():
        path = directory / _file_name(name, compress)
        with gzip.open(path, "wb", compresslevel=1) if compress else path.open("wb") as file:
            _write_array(file, array)
    write_json(directory / COINS, list(content.coins))
    write_json(directory / SETTINGS, content.settings, sort_keys=True)


def _write_array(file: Any, array: Array) -> None:
    """As `np.save`, in pieces, so that a compressed copy never is in memory whole."""
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, len(flat), 1 << 24):
        file.write(flat[start : start + (1 << 24)].data)


def _put_in_place(building: Path, directory: Path) -> None:
    """A reader that has the old one mapped keeps it."""
    if directory.exists():
        old = temporary_name(directory)
        directory.rename(old)
        building.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    else:
        building.rename(directory)


def remove_leftovers(directory: Path) -> None:
    """What builders of this dataset left when they were killed; the caller holds the dataset's lock."""
    for path in directory.parent.glob(f".{directory.name}.*.tmp"):
        shutil.rmtree(path, ignore_errors=True)
