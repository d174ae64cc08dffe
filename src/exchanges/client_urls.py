"""Custom endpoints applied to CCXT clients, and the guard that nothing leaves the machine (`live.md` 18)."""

from __future__ import annotations

import copy
import ipaddress
import logging
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

from core.errors import ConfigError
from exchanges.endpoints import ARCHIVE_URLS, COINGECKO_URL, Endpoints, Override, Texts, rewrite

logger = logging.getLogger(__name__)

# Parts of a client's `urls` that are for readers; every other part may become the target of a request.
FOR_READERS = frozenset({"logo", "www", "doc", "fees", "referral", "api_management"})
_WS_SCHEMES = ("ws://", "wss://")


class UrlClient(Protocol):
    """What is needed of a CCXT client. Most have a `hostname`, which fills that placeholder in their URLs."""

    id: str
    urls: dict[str, Any]
    headers: Any


def url_leaves(client: UrlClient) -> dict[str, str]:
    """`{dotted key: URL}` of all URLs a client may send requests to, `{hostname}` filled in."""
    trees = {name: tree for name, tree in client.urls.items() if name not in FOR_READERS}
    return {key: _filled(client, url) for key, url in _leaves(trees, "")}


def _leaves(tree: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _leaves(branch, f"{key}.{name}" if key else str(name))
    elif isinstance(tree, list | tuple):
        for i, branch in enumerate(tree):
            yield from _leaves(branch, f"{key}.{i}")
    elif isinstance(tree, str):
        yield key, tree


def _filled(client: UrlClient, url: str) -> str:
    return url.replace("{hostname}", str(getattr(client, "hostname", None) or ""))


def apply_override(client: UrlClient, override: Override, *, websockets: bool) -> None:
    """Redirect a client: URLs by key, then all by domain, then headers. All of it, or nothing and a ConfigError.

    With `websockets` the client is one that streams: if its REST URLs move, its stream URLs must move too, unless
    `disable_ws` is set. Each changed key is logged; header values never.
    """
    urls = copy.deepcopy(client.urls)
    named = {f"api.{key}" for block in (override.rest, override.ws) for key in block.overrides}
    for block in (override.rest, override.ws):
        for key, url in block.overrides.items():
            _put(urls["api"], key, url, client.id)
    trees = {name: tree for name, tree in urls.items() if name not in FOR_READERS}
    moved = _rewrite_tree(client, trees, override, "", set(named))
    if websockets and not override.disable_ws:
        _check_streams(client, trees, moved)
    _log_changes(client, dict(_leaves(client.urls, "")), dict(_leaves({**urls, **trees}, "")))
    client.urls = {**urls, **trees}
    if override.headers:
        client.headers = {**(client.headers or {}), **override.headers}
        logger.info("endpoint exchange=%s headers=%s", client.id, ",".join(sorted(override.headers)))


def _put(tree: Any, dotted: str, url: str, exchange: str) -> None:
    """Replace or add one leaf of `urls.api`. Raises ConfigError for a key that is a group, or below a leaf."""
    *groups, name = dotted.split(".")
    for group in groups:
        tree = tree.setdefault(group, {}) if isinstance(tree, dict) else tree
    if not isinstance(tree, dict) or isinstance(tree.get(name), dict):
        known = ", ".join(key for key, _ in _leaves(tree, "")) if isinstance(tree, dict) else "the keys above it"
        raise ConfigError(f"url_overrides.{dotted} names no single URL of {exchange}; known: {known}")
    tree[name] = url


def _rewrite_tree(client: UrlClient, tree: Any, override: Override, key: str, moved: set[str]) -> set[str]:
    """Rewrite the leaves below `tree` in place; returns `moved` with the keys that a domain fits added."""
    for name, branch in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        path = f"{key}.{name}" if key else str(name)
        if isinstance(branch, dict | list):
            _rewrite_tree(client, branch, override, path, moved)
        elif isinstance(branch, str):
            url = _filled(client, branch)
            changed = rewrite(url, _domains(url, override))
            if changed is not None:
                tree[name] = changed
                moved.add(path)
    return moved


def _domains(url: str, override: Override) -> Texts:
    return override.ws.domains if url.startswith(_WS_SCHEMES) else override.rest.domains


def _check_streams(client: UrlClient, trees: dict[str, Any], moved: set[str]) -> None:
    """A client whose orders go to one host must not listen to another, nor leave its listen key there."""
    leaves = {key: _filled(client, url) for key, url in _leaves({"api": trees.get("api", {})}, "")}
    streams = {key: url for key, url in leaves.items() if url.startswith(_WS_SCHEMES)}
    left = sorted({url for key, url in streams.items() if key not in moved})
    if left and any(key in moved for key in set(leaves) - set(streams)):
        raise ConfigError(
            f"endpoints of {client.id}: REST is redirected, but websockets would still go to {', '.join(left)}; "
            "add ws.rewrite_domains for them, or set disable_ws"
        )


def _log_changes(client: UrlClient, before: dict[str, str], after: dict[str, str]) -> None:
    for key, url in after.items():
        if before.get(key) != url:
            logger.info("endpoint exchange=%s key=%s old=%s new=%s", client.id, key, before.get(key, "-"), url)


def is_loopback(url: str) -> bool:
    """Whether a URL cannot leave the machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(endpoints: Endpoints) -> bool:
    """Whether there are custom endpoints, and all of them lead to this machine."""
    blocks = [block for o in endpoints.exchanges.values() for block in (o.rest, o.ws)]
    targets = [url for block in blocks for url in (*block.domains.values(), *block.overrides.values())]
    targets += [*endpoints.archive.values(), *endpoints.coingecko.values()]
    return bool(targets) and all(map(is_loopback, targets))


def rest_is_loopback(client: UrlClient) -> bool:
    """Whether all of a client's REST URLs in use are on this machine."""
    leaves = {key: url for key, url in url_leaves(client).items() if key.partition(".")[0] == "api"}
    return all(is_loopback(url) for url in leaves.values() if not url.startswith(_WS_SCHEMES))


def require_loopback(*clients: UrlClient, endpoints: Endpoints | None = None) -> None:
    """Refuse to go on if anything could leave the machine: a URL of a client, an archive, CoinGecko.

    Raises ConfigError naming every URL that is not loopback. Archives are looked at if `endpoints` is given.
    """
    urls = {f"{client.id}.{key}": url for client in clients for key, url in url_leaves(client).items()}
    if endpoints is not None:
        urls |= {f"archive of {url}": endpoints.archive_url(url) for url in ARCHIVE_URLS}
        urls |= {f"archive.{old}": new for old, new in endpoints.archive.items()}
        urls |= {f"coingecko.{old}": new for old, new in endpoints.coingecko.items()}
        urls["coingecko"] = endpoints.coingecko_url(COINGECKO_URL)
    outside = [f"{key} = {url}" for key, url in urls.items() if not is_loopback(url)]
    if outside:
        raise ConfigError(f"these URLs are not on this machine: {'; '.join(outside)}; redirect each to 127.0.0.1")
