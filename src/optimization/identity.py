"""What makes two runs the same: with equal identities, records are equal to the byte (13.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from config.dump import strip_metadata
from optimization.context import EvalContext
from simulation.dataset import Dataset

CHUNK_BYTES = 1 << 24

# How long, how many at once, in which portions: records are the same.
FREE_KEYS = ("iters", "n_cpus", "executor", "split_scenarios", "checkpoint_interval_s")


def identity_of(
    config: Mapping[str, Any], seed: int, context: EvalContext, datasets: Sequence[Dataset], schedule: Mapping[str, Any]
) -> dict[str, Any]:
    """Seed, engine, config, data, sampler and schedule of a run, comparable part by part."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    return {
        "seed": str(seed),  # larger than what JSON readers take for a number
        "engine": passivbot_rust.SOURCE_HASH,
        "config": {name: digest(json_bytes(part)) for name, part in comparable(config).items()},
        "datasets": {dataset.name: dataset_fingerprint(dataset) for dataset in datasets},
        "runs": [
            {"label": r.label, "dataset": r.name, "rows": list(r.rows), "coins": r.backtest_params["coins"]}
            for r in context.runs
        ],
        "sampler": config["optimize"].get("sampler", "deap_nsga2"),
        "schedule": dict(schedule),
    }


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what may differ between equal runs."""
    kept: dict[str, Any] = {k: strip_metadata(v) for k, v in config.items() if k not in ("logging", "paper")}
    kept = {name: part for name, part in kept.items() if not name.startswith("_")}
    kept["optimize"] = {key: value for key, value in kept["optimize"].items() if key not in FREE_KEYS}
    kept["live"].pop("base_config_path", None)  # where the config lies
    return kept


def dataset_fingerprint(dataset: Dataset) -> dict[str, Any]:
    """SHA-256 of candles, BTC prices and times, and the columns."""
    arrays = {"hlcvs": dataset.hlcvs, "btc_usd": dataset.btc_usd, "timestamps": dataset.timestamps}
    return {"coins": list(dataset.coins), **{name: array_digest(array) for name, array in arrays.items()}}


def array_digest(array: npt.NDArray[Any]) -> str:
    """SHA-256 hex of an array's bytes in C order, read piece by piece."""
    found = hashlib.sha256()
    rows = max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        found.update(np.ascontiguousarray(array[start : start + rows]).data)
    return found.hexdigest()


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def identity_hash(identity: Mapping[str, Any]) -> str:
    """One text for all parts."""
    return digest(json_bytes(identity))


def differences(stored: Any, found: Any, path: str = "") -> Iterator[str]:
    """Paths at which two identities differ."""
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        for key in sorted(stored.keys() | found.keys()):
            yield from differences(stored.get(key), found.get(key), f"{path}.{key}" if path else str(key))
    elif stored != found:
        yield path
