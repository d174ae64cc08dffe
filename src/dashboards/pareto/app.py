"""The web application: page, callbacks, and who may ask for it (`optimizer_pareto_tools.md` 8)."""

from __future__ import annotations

import ipaddress
import logging
import socket
from pathlib import Path
from urllib.parse import urlsplit

from dash import Dash, Input, Output, State, set_props
from flask import Flask, abort, request

from core.errors import PassivbotError
from dashboards.pareto.callbacks.compare import Compare
from dashboards.pareto.callbacks.controls import Controls
from dashboards.pareto.callbacks.explorer import Explorer
from dashboards.pareto.callbacks.export import Export
from dashboards.pareto.callbacks.ideal import Ideal
from dashboards.pareto.callbacks.overview import Overview
from dashboards.pareto.callbacks.robustness import Robustness
from dashboards.pareto.layout.page import page as layout
from dashboards.pareto.view import Page

logger = logging.getLogger(__name__)

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::", ""})

_SET_THEME = """function(clicks, stored) {
    const before = stored || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const now = clicks ? (before === "dark" ? "light" : "dark") : before;
    document.documentElement.dataset.theme = now;
    return now;
}"""


def make_app(page: Page, host: str = "127.0.0.1") -> Dash:
    """The application, ready to be served on `host`. Everything comes from this server, nothing from elsewhere."""
    app = Dash(
        "pareto_dash", title="Pareto front", update_title="", serve_locally=True, compress=False,
        assets_folder=str(Path(__file__).parent / "assets"), on_error=tell, enable_mcp=False, add_log_handler=False,
    )  # fmt: skip
    guard(app.server, host)
    app.layout = layout()
    for part in (Controls, Overview, Explorer, Ideal, Robustness, Compare, Export):
        part(page).register(app)
    theme = (Output("theme", "data"), Input("theme-button", "n_clicks"), State("theme", "data"))
    app.clientside_callback(_SET_THEME, *theme)  # type: ignore[no-untyped-call]
    return app


def tell(error: Exception) -> None:
    """Show an error on top of the page; what is unexpected goes to the log with its traceback."""
    if isinstance(error, PassivbotError):
        text = str(error)
    else:
        logger.error("dashboard callback failed", exc_info=error)
        text = f"unexpected {type(error).__name__}: {error} (the terminal shows where)"
    set_props("notice", {"children": text, "hidden": False})


def guard(server: Flask, host: str) -> None:
    """Refuse requests that come under another name (a foreign page whose name leads here), or from another page."""

    @server.before_request
    def check() -> None:
        name = hostname(request.host)
        if not welcome(name, host):
            abort(403, f"{name!r} is not served here; use {host}")
        origin = request.headers.get("Origin")
        if origin and urlsplit(origin).netloc != request.host:
            abort(403, f"requests from {origin} are refused")


def hostname(host: str) -> str:
    """The name in a Host header, without the port."""
    return (urlsplit(f"//{host}").hostname or "").lower()


def welcome(name: str, host: str) -> bool:
    """Is `name` this computer? On a wildcard address any plain address is: only names can be made to lead elsewhere."""
    if name in LOCAL or name == host.lower():
        return True
    return host in WILDCARDS and (_is_address(name) or name == socket.gethostname().lower())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
