"""`suite_comparison.png`: equity of every scenario relative to its start, over its main metrics as bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.plots.style import GREY, Heading, figure, labels, legend, say, thinned
from simulation.suite import ScenarioResult

BARS = (
    ("adg_usd", "average daily gain"),
    ("drawdown_worst_usd", "worst drawdown"),
    ("sharpe_ratio_usd", "Sharpe ratio"),
    ("loss_profit_ratio", "loss / profit"),
)


def comparison(results: Mapping[str, ScenarioResult], suite_id: str) -> Figure:
    """Scenarios keep their colours in both panels; a scenario on several datasets has a line for each."""
    labels_of = list(results)
    note = next((result.data_note for result in results.values() if result.data_note), None)
    heading = Heading("Suite", f"{suite_id}, {len(results)} scenarios", note)
    fig, (equity, blank) = figure(heading, (1.5, 1.0))
    colours = {label: colormaps["tab20"]((2 * i) % 20 + (i // 10) % 2) for i, label in enumerate(labels_of)}
    _equity(equity, results, colours)
    _metrics(fig, blank, results, colours)
    return fig


def _equity(ax: Axes, results: Mapping[str, ScenarioResult], colours: Mapping[str, object]) -> None:
    labels(ax, "Equity relative to the start", "x start")
    ax.tick_params(labelbottom=True)  # the panel below has no time
    drawn = False
    for label, result in results.items():
        for dataset, (times, values) in result.curves.items():
            finite = np.isfinite(values)
            if not finite.any() or not values[finite][0]:
                continue
            name = label if len(result.curves) == 1 else f"{label} ({dataset})"
            line = thinned(times[finite], values[finite] / values[finite][0])
            ax.plot(*line, label=f"{name} x{line[1][-1]:.3g}", color=colours[label], linewidth=1.6)
            drawn = True
    if drawn:
        ax.axhline(1.0, color=GREY, linewidth=0.8)
        legend(ax, *_rows(ax.get_legend_handles_labels()[0], 6))
    else:
        say(ax, "nothing was traded")


def _rows(handles: Sequence[Artist], width: int) -> list[list[Artist]]:
    return [list(handles[i : i + width]) for i in range(0, min(len(handles), 2 * width), width)]


def _metrics(fig: Figure, blank: Axes, results: Mapping[str, ScenarioResult], colours: Mapping[str, object]) -> None:
    """A small panel of bars for each metric, in the place of the lower panel."""
    box = blank.get_position()
    blank.remove()
    width = box.width / len(BARS)
    for i, (metric, title) in enumerate(BARS):
        ax = fig.add_axes((box.x0 + i * width, box.y0 + 0.03, 0.82 * width, 0.8 * box.height))
        values = [_mean(result, metric) for result in results.values()]
        ax.bar(range(len(values)), values, color=[colours[label] for label in results])
        ax.set_title(f"{title} ({metric})", loc="left", fontsize=13)
        ax.set_xticks(range(len(values)), list(results), rotation=30, ha="right", fontsize=10)
        ax.axhline(0.0, color=GREY, linewidth=0.8)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)


def _mean(result: ScenarioResult, metric: str) -> float:
    """Over the scenario's datasets; 0 where there is no finite value."""
    values = [analysis.get(metric) for analysis in result.analyses.values()]
    finite = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    return sum(finite) / len(finite) if finite else 0.0
