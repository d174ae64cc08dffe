"""Is a stored dataset still what would be made today (`additions.md` 11)? What went in, as it is written beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulation import dataset_cache
from simulation.plan import Candidate, Plan


def fingerprints(plan: Plan, failed: Mapping[str, str]) -> dict[str, Any]:
    """The plan, each coin's markets and, unless they are computed, the candle files of all candidates.

    `failed` are coins whose download failed: with the network, their dataset is made anew.
    """
    return {
        "plan": _plan_facts(plan),
        "sources": _sources(plan),
        "failed": sorted(failed),
        "candles": {name: dataset_cache.file_fingerprints(files) for name, files in _files(plan).items()},
    }


def what_changed(known: Mapping[str, Any], plan: Plan) -> str | None:
    """Why the dataset with these fingerprints is not what the plan asks for; None if it is."""
    if known["failed"] and plan.can_fetch:
        return f"the download of {', '.join(known['failed'])} failed"
    if known["sources"] != _sources(plan):
        return f"it was made from {known['sources']}"
    facts = _plan_facts(plan)
    for what in facts:
        if known["plan"][what] != facts[what]:
            return {"coins": "market settings or listing dates have changed"}.get(what, f"{what} has changed")
    files = _files(plan)
    if files.keys() != known["candles"].keys():
        return "the exchanges that may serve coins have changed"
    for name, stored in known["candles"].items():
        if not dataset_cache.files_unchanged(files[name], stored):
            return f"the candles of {name} have changed"
    return None


def _plan_facts(plan: Plan) -> dict[str, Any]:
    return {
        "end": plan.end_ts,
        "coins": {
            item.coin: [
                item.start_ts,
                {c.feed.exchange: dataset_cache.json_digest([c.entry, c.symbol]) for c in item.candidates},
            ]
            for item in plan.coins
        },
        "left_out": sorted(plan.left_out),
    }


def _computed(candidate: Candidate) -> str:
    """The version of a source that computes its candles; empty for stored ones."""
    source = candidate.feed.manager.feed.source
    return source.version if source else ""


def _sources(plan: Plan) -> list[str]:
    return sorted({_computed(c) or "store" for item in plan.coins for c in item.candidates})


def _files(plan: Plan) -> dict[str, list[Path]]:
    """Candle files in the range by what they are of."""
    span = (plan.start_ts, plan.end_ts)
    files = {
        f"{item.coin} on {c.feed.exchange}": [] if _computed(c) else c.feed.manager.store.files(c.symbol, *span)
        for item in plan.coins
        for c in (*item.candidates, *item.compared)
    }
    btc = plan.btc
    source = btc.feed.manager.feed.source
    if not (source and source.version):
        files[f"BTC/USD on {btc.feed.exchange}"] = btc.feed.manager.store.files(btc.symbol, *span)
    return files
