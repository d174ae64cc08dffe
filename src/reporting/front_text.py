"""What the terminal says about a front (`optimizer_pareto_tools.md` 7)."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from reporting.plots.front import FrontPicture, correlations


def closeness(picture: FrontPicture, path: str) -> list[str]:
    """The ideal point, and which member comes closest to it."""
    width = max(map(len, picture.axes))
    best = picture.points[picture.closest]
    return [
        "ideal point",
        *(f"  {name:<{width}}  {value:.5f}" for name, value in zip(picture.axes, picture.ideal, strict=True)),
        f"closest member: {path}",
        f"  normalized distance {picture.distance[picture.closest]:.5f}",
        *(f"  {name:<{width}}  {value:.5f}" for name, value in zip(picture.axes, best, strict=True)),
    ]


def relations(picture: FrontPicture, *, top: int, strong: float) -> list[str]:
    """The nearest members, objectives that go together or against each other, and how far each objective ranges."""
    width = max(map(len, picture.axes))
    lines = [f"{min(top, len(picture.labels))} closest members"]
    lines += [f"  {picture.distance[i]:.5f}  {picture.labels[i]}" for i in picture.nearest(top)]
    r = correlations(picture.points)
    pairs = [(a, b) for a, b in combinations(range(len(picture.axes)), 2) if abs(r[a, b]) > strong]
    lines += [f"objective pairs with |r| > {strong:g}: {len(pairs)}"]
    for a, b in sorted(pairs, key=lambda pair: -abs(r[pair])):
        word = "correlated" if r[a, b] > 0 else "trade-off"
        lines.append(f"  {r[a, b]:+.2f}  {word:<10}  {picture.axes[a]} / {picture.axes[b]}")
    low, high = picture.points.min(axis=0), picture.points.max(axis=0)
    lines += ["ranges, largest first"]
    for i in np.argsort(low - high, kind="stable"):
        lines.append(f"  {picture.axes[i]:<{width}}  {low[i]:.5g} … {high[i]:.5g}")
    return lines
