"""The web application over the fills on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input, Output, State, ctx, html
from dash.exceptions import PreventUpdate

from core.clock import DAY_MS, Clock
from core.dates import ts_to_date
from dashboards.fills import figures
from dashboards.fills.accounts import Accounts
from dashboards.fills.page import page
from dashboards.fills.view import Choice, Shown, coins_of, fill_rows, health_rows, shown, tiles
from dashboards.local import local_app
from dashboards.look import look_of
from live.fills.show import BY, as_csv, as_json, coin_of

CHOICE = tuple(Input(name, "value") for name in ("accounts", "first-day", "last-day", "coins", "pside"))
HEALTH_HEADS = ("account", "fills", "first", "last", "covered", "silences: asked again / settled", "state")


def make_app(accounts: Accounts, clock: Clock, *, days: int = 30, host: str = "127.0.0.1") -> Dash:
    """The application, ready to be served on `host`."""
    app = local_app("fill_events_dash", "Fills", host)
    app.layout = page(days)
    Page(accounts, clock).register(app)
    return app


class Page:
    """The callbacks."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self.accounts, self.clock = accounts, clock

    def register(self, app: Dash) -> None:
        app.callback(
            Output("accounts", "options"), Output("accounts", "value"), Output("note", "children"),
            Input("reload", "n_clicks"), State("accounts", "value"),
        )(self.names)  # fmt: skip
        app.callback(Output("coins", "options"), Input("accounts", "value"))(self.coins)
        app.callback(Output("first-day", "value"), Output("last-day", "value"), Input("span", "value"))(self.span)
        for name, draw in (
            ("cumulative", self.cumulative), ("by-day", self.by_day), ("fees", self.fees), ("by-coin", self.by_coin),
            ("by-type", self.by_type), ("trades", self.trades), ("positions", self.positions),
        ):  # fmt: skip
            app.callback(Output(name, "figure"), Input("theme", "data"), *CHOICE)(draw)
        app.callback(
            Output("tiles", "children"), Output("fills", "data"), Output("health", "children"),
            Output("notice", "hidden"), *CHOICE,
        )(self.tables)  # fmt: skip
        app.callback(
            Output("download", "data"), Input("csv", "n_clicks"), Input("json", "n_clicks"),
            *(State(one.component_id, "value") for one in CHOICE), prevent_initial_call=True,
        )(self.download)  # fmt: skip

    def names(self, _: int | None, chosen: list[str] | None) -> tuple[list[str], list[str], str]:
        """The accounts on disk; those that were chosen stay, at first the one with the newest fill."""
        names = self.accounts.names()
        kept = [name for name in chosen or () if name in names]
        newest = sorted(names, key=lambda name: self.accounts.get(name).metadata.newest_event_ts)[-1:]
        return names, kept or newest, f"{len(names)} accounts in {self.accounts.root}"

    def coins(self, names: list[str] | None) -> list[str]:
        return coins_of(self.accounts, names or [])

    def span(self, days: int | None) -> tuple[str | None, str | None]:
        """The last days, today included; 0 are all."""
        if days is None:
            raise PreventUpdate
        first = ts_to_date(self.clock.now_ms() - (days - 1) * DAY_MS)[:10]
        return (first if days else None), None

    def shown(self, *choice: Any) -> Shown:
        names, first, last, coins, pside = choice
        return shown(self.accounts, Choice(names or (), first or None, last or None, coins or (), pside))

    def cumulative(self, theme: str | None, *choice: Any) -> go.Figure:
        return figures.cumulative(self.shown(*choice).by_account, look_of(theme))

    def by_day(self, theme: str | None, *choice: Any) -> go.Figure:
        return figures.by_day(self.shown(*choice).events, look_of(theme))

    def fees(self, theme: str | None, *choice: Any) -> go.Figure:
        return figures.fees_by_day(self.shown(*choice).events, look_of(theme))

    def by_coin(self, theme: str | None, *choice: Any) -> go.Figure:
        return figures.by_name(self.shown(*choice).events, BY["coin"], look_of(theme))

    def by_type(self, theme: str | None, *choice: Any) -> go.Figure:
        return figures.by_name(self.shown(*choice).events, BY["order type"], look_of(theme))

    def trades(self, theme: str | None, *choice: Any) -> go.Figure:
        names, first, last, coins, pside = self.with_coin(choice)
        return figures.trades(self.shown(names, first, last, coins[:1], pside).by_account, look_of(theme))

    def positions(self, theme: str | None, *choice: Any) -> go.Figure:
        return figures.positions(self.shown(*self.with_coin(choice)).by_account, look_of(theme))

    def with_coin(self, choice: Sequence[Any]) -> tuple[Any, ...]:
        """The choice; without a coin, with the one that was traded most."""
        names, first, last, coins, pside = choice
        if not coins:
            traded = Counter(coin_of(event.symbol) for event in self.shown(*choice).events)
            coins = [coin for coin, _ in traded.most_common(1)]
        return names, first, last, coins, pside

    def tables(self, *choice: Any) -> tuple[list[html.Div], list[dict[str, Any]], html.Table, bool]:
        """The sums on top, the table of fills, that of the accounts; what was wrong before is no more."""
        view = self.shown(*choice)
        boxes = [html.Div([html.Strong(value), html.Span(name)]) for name, value in tiles(view).items()]
        return boxes, fill_rows(view), health(health_rows(self.accounts, choice[0] or [])), True

    def download(self, _csv: int | None, _json: int | None, *choice: Any) -> dict[str, Any]:
        """What is shown, as a file."""
        events = self.shown(*choice).events
        if ctx.triggered_id == "csv":
            return {"content": as_csv(events), "filename": "fills.csv"}
        return {"content": as_json(", ".join(choice[0] or ()), events), "filename": "fills.json"}


def health(rows: Sequence[Sequence[str]]) -> html.Table:
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in HEALTH_HEADS]))
    body = [html.Tr([html.Th(row[0], scope="row"), *(html.Td(text) for text in row[1:])]) for row in rows]
    return html.Table([head, html.Tbody(body)], className="plain")
