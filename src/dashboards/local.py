"""Pages for this computer: who may ask for them, how they are served, what all of them look like."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from dash import Dash, Input, Output, State, set_props
from flask import Flask, abort, request
from werkzeug.serving import make_server

from core.errors import PassivbotError, RunError

logger = logging.getLogger(__name__)

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::", ""})

_SET_THEME = """function(clicks, stored) {
    const before = stored || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const now = clicks ? (before === "dark" ? "light" : "dark") : before;
    document.documentElement.dataset.theme = now;
    return now;
}"""


def local_app(name: str, title: str, host: str) -> Dash:
    """An application without a page, ready to be served on `host`. Everything comes from this server.

    Its page has a store `theme`, a button `theme-button` and a place `notice` for errors.
    """
    app = Dash(
        name, title=title, update_title="", serve_locally=True, compress=False, on_error=tell, enable_mcp=False,
        assets_folder=str(Path(__file__).parent / "assets"), add_log_handler=False,
    )  # fmt: skip
    guard(app.server, host)
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


def serve(app: Dash, host: str, port: int) -> None:
    """Serve until interrupted, saying where. Raises RunError when the port cannot be had."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        server = make_server(host, port, app.server, threaded=True)
    except (OSError, SystemExit) as exc:
        raise RunError(f"cannot serve on {host}:{port} ({exc}); choose another --port") from exc
    sys.stdout.write(f"serving on http://{host}:{server.port} (Ctrl-C ends)\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    finally:
        server.server_close()
