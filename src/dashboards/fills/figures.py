"""The figures of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import plotly.graph_objects as go

from dashboards.look import PALETTE, Look, dressed, empty
from live.fills.queries import totals
from live.fills.record import FillEvent

GAIN, LOSS = "#2E8B6F", "#C0563B"
MOST_BARS = 30
NOTHING = "no fills in these days"


def cumulative(by_account: Mapping[str, Sequence[FillEvent]], look: Look) -> go.Figure:
    """The running sum of pnl, a line an account."""
    fig = go.Figure()
    for colour, (name, events) in zip(PALETTE * len(by_account), by_account.items(), strict=False):
        if events:
            sums = list(accumulate(event.pnl for event in events))
            fig.add_scatter(
                x=[event.datetime for event in events], y=sums, name=name, mode="lines",
                line={"color": colour, "width": 2, "shape": "hv"}, showlegend=len(by_account) > 1,
            )  # fmt: skip
    return dressed(fig, look, y="pnl") if fig.data else empty(NOTHING, look)


def by_day(events: Sequence[FillEvent], look: Look) -> go.Figure:
    """Pnl of each day, gains and losses in their colours."""
    days = totals(events, lambda event: event.day)
    if not days:
        return empty(NOTHING, look)
    colours = [GAIN if day.pnl >= 0.0 else LOSS for day in days]
    fig = go.Figure(go.Bar(x=[day.name for day in days], y=[day.pnl for day in days], marker_color=colours))
    fig.update_xaxes(type="date")
    return dressed(fig, look, y="pnl")


def fees_by_day(events: Sequence[FillEvent], look: Look) -> go.Figure:
    """Fees of each day, stacked by currency, with the sign the exchanges deliver."""
    days = totals(events, lambda event: event.day)
    currencies = sorted({currency for day in days for currency in day.fees})
    if not currencies:
        return empty("no fees in these days", look)
    fig = go.Figure()
    for colour, currency in zip(PALETTE * len(currencies), currencies, strict=False):
        costs = [day.fees.get(currency, 0.0) for day in days]
        fig.add_bar(x=[day.name for day in days], y=costs, name=currency, marker_color=colour)
    fig.update_layout(barmode="relative", showlegend=True)
    fig.update_xaxes(type="date")
    return dressed(fig, look, y="fees")


def by_name(events: Sequence[FillEvent], name_of: Callable[[FillEvent], str], look: Look) -> go.Figure:
    """Pnl of each coin or order type that has any, the largest amounts, best on top."""
    groups = [group for group in totals(events, name_of) if group.pnl]
    groups = sorted(groups, key=lambda group: abs(group.pnl), reverse=True)[:MOST_BARS]
    if not groups:
        return empty("no profit or loss in these days", look)
    groups.sort(key=lambda group: group.pnl)
    colours = [GAIN if group.pnl >= 0.0 else LOSS for group in groups]
    fig = go.Figure(
        go.Bar(
            x=[group.pnl for group in groups], y=[group.name for group in groups], orientation="h",
            marker_color=colours, customdata=[group.fills for group in groups],
            hovertemplate="%{y}: %{x:,.4f} in %{customdata} fills<extra></extra>",
        )
    )  # fmt: skip
    fig.update_yaxes(type="category")
    return dressed(fig, look, x="pnl", height=max(240, 60 + 22 * len(groups)))


def positions(by_account: Mapping[str, Sequence[FillEvent]], look: Look) -> go.Figure:
    """The size of each position over time, shorts below zero."""
    fig = go.Figure()
    held: dict[tuple[str, str, str], list[FillEvent]] = {}
    for name, events in by_account.items():
        for event in events:
            held.setdefault((name, event.symbol, event.position_side), []).append(event)
    for colour, ((name, symbol, pside), events) in zip(PALETTE * len(held), held.items(), strict=False):
        sign = -1.0 if pside == "short" else 1.0
        fig.add_scatter(
            x=[event.datetime for event in events], y=[sign * event.psize for event in events], mode="lines",
            name=f"{name} {symbol.split('/')[0]} {pside}", line={"color": colour, "width": 1.6, "shape": "hv"},
        )  # fmt: skip
    if not fig.data:
        return empty(NOTHING, look)
    return dressed(fig.update_layout(showlegend=True), look, y="position size")


def trades(by_account: Mapping[str, Sequence[FillEvent]], look: Look) -> go.Figure:
    """Where a coin was bought and sold: triangles as large as the quantity, and the positions' prices."""
    everything = [event for events in by_account.values() for event in events]
    if not everything:
        return empty(NOTHING, look)
    largest = max(abs(event.qty) for event in everything) or 1.0
    fig = go.Figure()
    for side, symbol, colour in (("buy", "triangle-up", GAIN), ("sell", "triangle-down", LOSS)):
        some = [event for event in everything if event.side == side]
        fig.add_scatter(
            x=[event.datetime for event in some], y=[event.price for event in some], mode="markers", name=side,
            marker={"symbol": symbol, "color": colour, "size": [6 + 12 * abs(e.qty) / largest for e in some]},
            text=[f"{e.position_side} {e.pb_order_type} {e.qty:+g}, pnl {e.pnl:+.4f}" for e in some],
            hovertemplate="%{x}<br>%{y}<br>%{text}<extra></extra>",
        )  # fmt: skip
    for name, events in by_account.items():
        for pside, dash in (("long", "dot"), ("short", "dash")):
            some = [event for event in events if event.position_side == pside]
            fig.add_scatter(
                x=[event.datetime for event in some], y=[event.pprice or None for event in some], mode="lines",
                name=f"{name} {pside}", line={"color": look.soft, "width": 1, "dash": dash, "shape": "hv"},
            )  # fmt: skip
    return dressed(fig.update_layout(showlegend=True), look, y="price")
