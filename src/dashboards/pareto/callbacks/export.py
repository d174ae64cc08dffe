"""Export: look at the selected config, copy, download or save it."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from config.dump import streamlined_json
from core.errors import PassivbotError
from dashboards.pareto.callbacks.active import STATE, shown_on
from dashboards.pareto.export import bot_config, complete_config, save_config, short_name
from dashboards.pareto.view import Page, Stored
from optimization.members import Member


class Export:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        what = Input("what", "value")
        app.callback(
            Output("preview", "children"), Output("copy", "content"), Output("export-name", "children"), *STATE, what
        )(self.preview)  # fmt: skip
        app.callback(
            Output("download", "data"), Input("download-button", "n_clicks"), State("run", "value"),
            State("selected", "data"), State("what", "value"), prevent_initial_call=True,
        )(self.download)  # fmt: skip
        app.callback(
            Output("saved", "children"), Input("save", "n_clicks"), State("run", "value"), State("selected", "data"),
            State("save-name", "value"), prevent_initial_call=True,
        )(self.save)  # fmt: skip

    def preview(
        self, tab: str, view: Stored | None, selected: str | None, _theme: str | None, what: str
    ) -> tuple[str, str, Any]:
        member = shown_on(self.page, "export", tab, view).run.member(selected)
        if member is None:
            return "", "", "No config is selected: click one in Overview."
        text = text_of(member, what)
        return text, text, ["selected: ", html.Code(member.path.name)]

    def download(self, _clicks: int | None, run: str, selected: str | None, what: str) -> dict[str, str]:
        member = self._member(run, selected)
        return {"content": text_of(member, what) + "\n", "filename": short_name(member), "type": "application/json"}

    def save(self, _clicks: int | None, run: str, selected: str | None, name: str | None) -> Any:
        """Where it was saved, or why not."""
        member = self._member(run, selected)
        try:
            path = save_config(member, self.page.configs, name or short_name(member))
        except PassivbotError as exc:
            return html.Span(str(exc), className="error")
        shown = self.page.configs / path.relative_to(self.page.configs.resolve())
        return ["saved. Backtest it with ", html.Code(f"./passivbot backtest {shown}")]

    def _member(self, run: str, selected: str | None) -> Member:
        member = self.page.runs.get(run).member(selected)
        if member is None:
            raise PreventUpdate
        return member


def text_of(member: Member, what: str) -> str:
    """The parameters, or the complete config, as they are saved."""
    config = complete_config(member) if what == "complete" else bot_config(member)
    return streamlined_json(config, sort_keys=True)
