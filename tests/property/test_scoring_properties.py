"""What holds for the score of any candidate (`optimizer_pareto_tools.md` 5.3-5.5)."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from optimization.scoring import Scoring

NAMES = ("adg_usd", "drawdown_worst_btc", "loss_profit_ratio", "sharpe_ratio_usd")
metrics = st.dictionaries(st.sampled_from(NAMES), st.floats(allow_nan=False, allow_infinity=False))
runs = st.lists(st.lists(metrics, min_size=1, max_size=3), min_size=1, max_size=3)
bounds = st.floats(-1e3, 1e3)
limit = st.one_of(
    st.fixed_dictionaries(
        {"metric": st.sampled_from(NAMES), "penalize_if": st.sampled_from((">", "<", "auto")), "value": bounds},
        optional={"stat": st.sampled_from(("min", "max", "mean", "std"))},
    ),
    st.fixed_dictionaries(
        {"metric": st.sampled_from(NAMES), "penalize_if": st.sampled_from(("inside", "outside"))}
        | {"range": st.tuples(bounds, bounds).map(sorted)}
    ),
)
objectives = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)


@example(["adg_usd"], [{"metric": "adg_usd", "penalize_if": "<", "value": 0.0}], [[{"adg_usd": -1e308}]], "mean", False)
@given(objectives, st.lists(limit, max_size=3), runs, st.sampled_from(("mean", "max", "median", "std")), st.booleans())
def test_scores(names: list[str], limits: list[Any], values: Any, mode: str, suite: bool) -> None:
    """Objectives are finite; the violation is never negative; with 0 all objectives are the plain metrics; a candidate
    without what is looked at is infeasible; records are JSON."""
    config = {"optimize": {"scoring": names, "limits": limits}, "backtest": {"suite": {"aggregate": {"default": mode}}}}
    judge = Scoring.of(config, suite=suite)
    analyses = {
        str(i): {str(j): run for j, run in enumerate(of)} for i, of in enumerate(values if suite else values[:1])
    }
    scored = judge.score(analyses)
    measured, _ = judge.measure(analyses)
    assert all(map(math.isfinite, (*scored.objectives, scored.violation)))
    assert scored.violation >= 0.0
    if scored.violation == 0.0:
        assert scored.objectives == judge.signed(measured)
    looked_at = {*names, *(entry["metric"] for entry in limits)}
    if any(name not in run for name in looked_at for runs in analyses.values() for run in runs.values()):
        assert scored.violation >= 1.0
        assert min(scored.objectives) >= 1.0
    json.dumps(scored.block, allow_nan=False)
