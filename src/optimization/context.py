"""What an evaluator needs besides a vector: datasets, and the runs that every candidate makes on them.

Everything here is made once, before the search, and is the same for all candidates (`optimizer_pareto_tools.md` 5.1,
5.7, 13.1). A run is a scenario on a dataset; without a suite there is one run a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from config.changes import Config
from config.schema_bot import WALLET_EXPOSURE_LIMIT
from config.settings import DYNAMIC_WALLET_EXPOSURE_LIMIT
from core.terms import PSIDES, Pside
from optimization.gene_overrides import rules_of
from optimization.space import SearchSpace, SideParams, Vector
from simulation.dataset import Dataset, bundle_meta
from simulation.payload import build_view_payload

Sides = Mapping[Pside, SideParams]

TWEL = "total_wallet_exposure_limit"


@dataclass(frozen=True, slots=True)
class CandidateRun:
    """A scenario on a dataset, as the suite plan leaves it.

    `config` is the scenario's, coins and coin overrides resolved; `view` its rows of the dataset; `forced` are bot
    parameters that the scenario sets, which beat the genes; `warmup_minutes` covers every candidate. `part` tells runs
    of one scenario on one dataset apart: held-out dates can cut its window in pieces.
    """

    label: str
    config: Config
    view: Dataset
    warmup_minutes: int
    forced: Sides
    part: str = ""


@dataclass(frozen=True, slots=True)
class RunTemplate:
    """A run of every candidate: all that the engine is given but the genes.

    `dataset` is a position in the context, `name` tells it and its part; `rows` a half-open range of it. `own` are the
    parameters that a coin has whatever the genes are, one entry a coin. `openable` limits the number of positions by
    the coins of a side.
    """

    label: str
    dataset: int
    name: str
    rows: tuple[int, int]
    backtest_params: Mapping[str, Any]
    exchange_params: Sequence[Mapping[str, float]]
    forced: Sides
    own: tuple[Sides, ...]
    openable: Mapping[Pside, int]

    def sides(self, genes: Sides) -> dict[Pside, SideParams]:
        """The parameters of coins without parameters of their own; the exposure metrics refer to their limits."""
        return {pside: {**genes[pside], **self.forced[pside]} for pside in PSIDES}

    def spec(self, sides: Sides) -> dict[str, Any]:
        """One entry of `backtest_batch`; `sides` are those of this run."""
        plain = self._bounded({p: {WALLET_EXPOSURE_LIMIT: DYNAMIC_WALLET_EXPOSURE_LIMIT, **sides[p]} for p in PSIDES})
        return {
            "bot_params": [self._with_own(plain, own) if own else plain for own in self.own],
            "exchange_params_list": self.exchange_params,
            "backtest_params_dict": self.backtest_params,
            "rows": self.rows,
        }

    def _with_own(self, plain: Sides, own: Sides) -> dict[Pside, SideParams]:
        return self._bounded({pside: {**plain[pside], **own.get(pside, {})} for pside in PSIDES})

    def _bounded(self, sides: dict[Pside, SideParams]) -> dict[Pside, SideParams]:
        for pside in PSIDES:
            sides[pside]["n_positions"] = min(sides[pside]["n_positions"], self.openable[pside])
        return sides


@dataclass(frozen=True, slots=True)
class EvalContext:
    """Sent to every worker once: the space, the names of gene overrides, the runs. The datasets travel apart."""

    space: SearchSpace
    gene_overrides: tuple[str, ...]
    runs: tuple[RunTemplate, ...]

    def genes(self, vector: Vector) -> dict[Pside, SideParams]:
        """Parameters by side of an evaluated vector, gene overrides applied: what is simulated and recorded."""
        sides = self.space.sides(vector)
        for rule in rules_of(self.gene_overrides):
            for pside in PSIDES:
                rule(sides[pside])
        return sides


def build_context(
    space: SearchSpace, gene_overrides: Sequence[str], runs: Sequence[CandidateRun], datasets: Sequence[Dataset]
) -> EvalContext:
    """The context of runs on datasets. Raises ConfigError where coins, candles and settings disagree."""
    rules_of(gene_overrides)
    return EvalContext(space, tuple(gene_overrides), tuple(_template(run, datasets) for run in runs))


def _template(run: CandidateRun, datasets: Sequence[Dataset]) -> RunTemplate:
    view, name = run.view, run.view.name
    at = next(i for i, dataset in enumerate(datasets) if dataset.name == name)
    arrays = (view.btc_usd, view.timestamps)
    payload = build_view_payload(view.hlcvs, view.settings, run.config, name, *arrays, all_coins=view.coins)
    first = int(np.searchsorted(datasets[at].timestamps, view.timestamps[0]))
    coins = payload.backtest_params["coins"]
    overrides = run.config["coin_overrides"]
    return RunTemplate(
        label=run.label,
        dataset=at,
        name=f"{name} {run.part}".strip(),
        rows=(first, first + len(view.timestamps)),
        backtest_params={**payload.backtest_params, "global_warmup_bars": run.warmup_minutes},
        exchange_params=payload.exchange_params,
        forced=run.forced,
        own=tuple(overrides.get(coin, {}).get("bot", {}) for coin in coins),
        openable={pside: len(payload.approved[pside] & set(coins)) for pside in PSIDES},
    )


def engine_bundle(dataset: Dataset) -> Any:
    """The dataset as the engine takes it; nothing is copied."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    return passivbot_rust.HlcvsBundle(dataset.hlcvs, dataset.btc_usd, dataset.timestamps, bundle_meta(dataset))
