"""Colours and layout that all figures of the page share, on light and on dark ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

DIVERGING = [[0.0, "#B4442E"], [0.5, "#EDEDEA"], [1.0, "#24708F"]]
# Okabe and Ito's palette in the order in which five compared configs get them.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CHOSEN, MARKED = "#D55E00", "#E69F00"


@dataclass(frozen=True, slots=True)
class Look:
    """What depends on the ground."""

    ink: str
    soft: str
    grid: str
    accent: str
    scale: str | list[list[float | str]]


LIGHT = Look(ink="#1D2733", soft="#66717D", grid="#E4E7EA", accent="#24708F", scale="Viridis")
# Viridis without its darkest end, which the ground would swallow.
_BRIGHT: list[list[float | str]] = [[0.0, "#6A7BD8"], [0.4, "#2FA5A0"], [0.75, "#7AD151"], [1.0, "#FDE725"]]
DARK = Look(ink="#E6EAEE", soft="#98A4B0", grid="#2F3B47", accent="#5BB0D0", scale=_BRIGHT)


def look_of(theme: str | None) -> Look:
    return DARK if theme == "dark" else LIGHT


def dressed(fig: go.Figure, look: Look, *, x: str = "", y: str = "", height: int | None = None) -> go.Figure:
    """The figure with the page's font and grid, on a transparent ground; zooms survive new data."""
    axis: dict[str, Any] = {
        "gridcolor": look.grid, "zeroline": False, "linecolor": look.grid, "automargin": True,
        "title": {"font": {"size": 12, "color": look.soft}, "standoff": 8}, "tickfont": {"size": 11},
    }  # fmt: skip
    fig.update_xaxes(**axis).update_yaxes(**axis)
    if x:
        fig.update_xaxes(title_text=x)
    if y:
        fig.update_yaxes(title_text=y)
    return fig.update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, Segoe UI, Roboto, sans-serif", "color": look.ink, "size": 12},
        margin={"l": 56, "r": 16, "t": 28, "b": 44}, height=height, hoverlabel={"font": {"size": 12}},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right", "font": {"size": 11}},
    )  # fmt: skip


def empty(text: str, look: Look, height: int | None = None) -> go.Figure:
    """Words in place of a figure that has nothing to show."""
    fig = dressed(go.Figure(), look, height=height)
    fig.update_xaxes(visible=False).update_yaxes(visible=False)
    middle = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    return fig.add_annotation(text=text, showarrow=False, font_color=look.soft, **middle)


def colour_bar(title: str) -> dict[str, Any]:
    """A slim scale beside the figure."""
    return {"title": {"text": title, "side": "right", "font": {"size": 11}}, "thickness": 10, "outlinewidth": 0}


def with_alpha(colour: str, alpha: float) -> str:
    """`#RRGGBB` as a translucent colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
