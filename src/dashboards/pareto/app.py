"""The web application: page and callbacks (`optimizer_pareto_tools.md` 8)."""

from __future__ import annotations

from dash import Dash

from dashboards.local import local_app
from dashboards.pareto.callbacks.compare import Compare
from dashboards.pareto.callbacks.controls import Controls
from dashboards.pareto.callbacks.explorer import Explorer
from dashboards.pareto.callbacks.export import Export
from dashboards.pareto.callbacks.ideal import Ideal
from dashboards.pareto.callbacks.overview import Overview
from dashboards.pareto.callbacks.robustness import Robustness
from dashboards.pareto.layout.page import page as layout
from dashboards.pareto.view import Page


def make_app(page: Page, host: str = "127.0.0.1") -> Dash:
    """The application, ready to be served on `host`."""
    app = local_app("pareto_dash", "Pareto front", host)
    app.layout = layout()
    for part in (Controls, Overview, Explorer, Ideal, Robustness, Compare, Export):
        part(page).register(app)
    return app
