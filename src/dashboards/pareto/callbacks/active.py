"""What the callbacks of the tabs share: only the tab in front is drawn, and only once there is a view."""

from __future__ import annotations

from dash import Input
from dash.exceptions import PreventUpdate

from dashboards.pareto.view import Page, Shown, Stored

# Every tab is drawn anew when it comes to the front, or when view, selection or colours change.
STATE = (Input("tabs", "value"), Input("view", "data"), Input("selected", "data"), Input("theme", "data"))


def shown_on(page: Page, name: str, tab: str, view: Stored | None) -> Shown:
    """The rows to show. Raises PreventUpdate when another tab is in front."""
    if tab != name or not view:
        raise PreventUpdate
    return page.shown(view)
