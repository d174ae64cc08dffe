"""A few configs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.look import PALETTE, Look, dressed, empty, with_alpha
from optimization.ideal import scaled

LEAST_SPOKES = 3


def radar(
    everyone: pd.DataFrame,
    rows: Mapping[str, pd.Series[float]],
    metrics: Sequence[str],
    directions: Mapping[str, float],
    look: Look,
) -> go.Figure:
    """Metrics scaled 0..1 over all members, the better the farther out; `rows` are label -> values by metric."""
    usable = [name for name in metrics if all(name in row for row in rows.values())]
    if not rows or len(usable) < LEAST_SPOKES:
        reason = f"a radar needs {LEAST_SPOKES} metrics" if rows else "choose configs to compare"
        return empty(reason, look)
    reference = everyone[usable].to_numpy(dtype=np.float64)
    fig = go.Figure()
    for i, (label, row) in enumerate(rows.items()):
        shares = scaled(np.array([[float(row[name]) for name in usable]]), reference)[0].clip(0.0, 1.0)
        shares = np.where([directions[name] > 0 for name in usable], 1.0 - shares, shares)
        colour = PALETTE[i % len(PALETTE)]
        fig.add_trace(
            go.Scatterpolar(
                r=[*shares, shares[0]], theta=[*usable, usable[0]], name=label, line={"color": colour, "width": 2},
                fill="toself", fillcolor=with_alpha(colour, 0.08), hovertemplate="%{theta}: %{r:.3f}",
            )
        )  # fmt: skip
    polar = {
        "bgcolor": "rgba(0,0,0,0)",
        "radialaxis": {"range": [0, 1], "gridcolor": look.grid, "tickfont": {"size": 9, "color": look.soft}},
        "angularaxis": {"gridcolor": look.grid, "tickfont": {"size": 11}},
    }
    return dressed(fig, look).update_layout(polar=polar, margin={"l": 90, "r": 90, "t": 40, "b": 40})
