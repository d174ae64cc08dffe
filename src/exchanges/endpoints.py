"""Custom endpoints: other hosts for exchanges, archives and CoinGecko (`live.md` 18, `config_cli_suite.md` 8.6).

    {"defaults": E, "exchanges": {ccxt id: E}, "archive": {old: new}, "coingecko": {old: new}}
    E = {"disable_ws": bool, "rest": {"rewrite_domains": {old: new}, "url_overrides": {key: url},
         "extra_headers": {name: value}}, "ws": {"rewrite_domains": {}, "url_overrides": {}}}

`old` is the beginning of a URL (or of what follows `://`), `key` a dotted path below a client's `urls.api`.
How the records are applied to a client stands in `client_urls.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.text import read_hjson
from core import paths
from core.errors import ConfigError
from markets.symbols import normalize_exchange

logger = logging.getLogger(__name__)

Texts = Mapping[str, str]

OFF_WORDS = ("none", "off", "disable", "")
ARCHIVE_URLS = (
    "https://data.binance.vision/",
    "https://public.bybit.com/",
    "https://img.bitgetimg.com/",
    "https://historical-data.kucoin.com/",
)
COINGECKO_URL = "https://api.coingecko.com/"


@dataclass(frozen=True, slots=True)
class UrlChanges:
    """What becomes of the URLs of one kind: `overrides` by key first, then `domains`, the first that fits."""

    domains: Texts = field(default_factory=dict)
    overrides: Texts = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.domains or self.overrides)


@dataclass(frozen=True, slots=True)
class Override:
    """The changes for one exchange; false if there are none. Values of `headers` may be secret."""

    rest: UrlChanges = field(default_factory=UrlChanges)
    ws: UrlChanges = field(default_factory=UrlChanges)
    headers: Texts = field(default_factory=dict)
    disable_ws: bool = False

    def __bool__(self) -> bool:
        return bool(self.rest or self.ws or self.headers or self.disable_ws)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A whole endpoints file. Without arguments: nothing is changed anywhere."""

    exchanges: Mapping[str, Override] = field(default_factory=dict)  # by lower-case ccxt id, defaults merged in
    defaults: Override = field(default_factory=Override)
    archive: Texts = field(default_factory=dict)
    coingecko: Texts = field(default_factory=dict)

    def of_exchange(self, exchange: str) -> Override:
        """The changes for an exchange, by ccxt id or short name in any case."""
        return self.exchanges.get(normalize_exchange(exchange), self.defaults)

    def archive_url(self, url: str) -> str:
        """Where a file of a public archive is fetched from."""
        return rewrite(url, self.archive) or url

    def coingecko_url(self, url: str) -> str:
        """Where a page of CoinGecko is fetched from."""
        return rewrite(url, self.coingecko) or url


def rewrite(url: str, domains: Texts) -> str | None:
    """`url` with its beginning replaced by the first fitting entry of `domains`; None if none fits.

    An `old` without scheme stands for what follows `://`; the scheme is kept unless `new` brings one.
    """
    scheme, separator, rest = url.partition("://")
    for old, new in domains.items():
        base = old.rstrip("/")
        if _begins(url, old):
            return new.rstrip("/") + url[len(base) :]
        if separator and "://" not in old and _begins(rest, old):
            return ("" if "://" in new else f"{scheme}://") + new.rstrip("/") + rest[len(base) :]
    return None


def _begins(text: str, old: str) -> bool:
    """A closing `/` of `old` only says that the name ends there; the URL need not have it."""
    base = old.rstrip("/")
    return base != "" and text.startswith(base) and (base == old or text[len(base) : len(base) + 1] in ("", "/"))


def load_endpoints(cli: str | None = None, configured: str | None = None) -> Endpoints:
    """The endpoints a program works with: of its `--custom-endpoints`, else of its config, else auto-discovered.

    None means "not said"; `none`, `off`, `disable` or blank switch endpoints off. Raises ConfigError for a file that
    was named and is missing or malformed; a malformed one that was only discovered is logged and ignored.
    """
    said = next((text.strip() for text in (cli, configured) if text is not None), None)
    if said is None:
        return _discovered()
    if said.lower() in OFF_WORDS:
        return Endpoints()
    return read_endpoints(paths.resolve_input(said) or Path(said).expanduser())


def _discovered() -> Endpoints:
    path = paths.resolve_input(paths.CUSTOM_ENDPOINTS)
    if path is None:
        return Endpoints()
    try:
        return read_endpoints(path)
    except ConfigError as exc:
        logger.error("endpoints_ignored path=%s reason=%s", path, exc)
        return Endpoints()


def read_endpoints(path: Path) -> Endpoints:
    """The endpoints of a file. Raises ConfigError naming file, key and value."""
    endpoints = parse_endpoints(read_hjson(path), str(path))
    logger.info("endpoints path=%s exchanges=%s", path, ",".join(sorted(endpoints.exchanges)) or "-")
    return endpoints


def parse_endpoints(content: Any, where: str) -> Endpoints:
    """Check and merge parsed content; `where` names it in messages. Raises ConfigError."""
    top = _group(content, where, ("defaults", "exchanges", "archive", "coingecko"))
    defaults = _entry(top.get("defaults"), f"{where}: defaults")
    exchanges: dict[str, Override] = {}
    for name, value in _group(top.get("exchanges"), f"{where}: exchanges", None).items():
        exchange = normalize_exchange(name)
        if exchange in exchanges:
            raise ConfigError(f"{where}: exchanges.{name} is a second entry for {exchange}; keep one of them")
        exchanges[exchange] = _override(_merged(defaults, _entry(value, f"{where}: exchanges.{name}")))
    maps = {name: _texts(top.get(name), f"{where}: {name}") for name in ("archive", "coingecko")}
    return Endpoints(exchanges, _override(defaults), **maps)


def _entry(value: Any, where: str) -> dict[str, Any]:
    """One E, complete: `{"disable_ws": bool or None, "rest": {...}, "ws": {...}}`."""
    entry = _group(value, where, ("disable_ws", "rest", "ws"))
    disable_ws = entry.get("disable_ws")
    if not isinstance(disable_ws, bool | None):
        raise ConfigError(f"{where}.disable_ws is {disable_ws!r}, true or false is needed")
    names = {"rest": ("rewrite_domains", "url_overrides", "extra_headers"), "ws": ("rewrite_domains", "url_overrides")}
    blocks = {
        kind: {name: _texts(_group(entry.get(kind), f"{where}.{kind}", known).get(name), f"{where}.{kind}.{name}")
               for name in known}
        for kind, known in names.items()
    }  # fmt: skip
    return {"disable_ws": disable_ws, **blocks}


def _merged(defaults: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """The entry wins; its domains are tried first."""
    merged: dict[str, Any] = {
        kind: {name: {**own, **{k: v for k, v in defaults[kind][name].items() if k not in own}}
               for name, own in entry[kind].items()}
        for kind in ("rest", "ws")
    }  # fmt: skip
    own = entry["disable_ws"]
    return {**merged, "disable_ws": defaults["disable_ws"] if own is None else own}


def _override(entry: dict[str, Any]) -> Override:
    rest, ws = entry["rest"], entry["ws"]
    return Override(
        rest=UrlChanges(rest["rewrite_domains"], rest["url_overrides"]),
        ws=UrlChanges(ws["rewrite_domains"], ws["url_overrides"]),
        headers=rest["extra_headers"],
        disable_ws=bool(entry["disable_ws"]),
    )


def _group(value: Any, where: str, known: tuple[str, ...] | None) -> dict[str, Any]:
    """A JSON object, empty if absent. A misspelt key would send requests to the wrong host: it is refused."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {type(value).__name__}, an object is needed")
    unknown = sorted(key for key in value if known is not None and key not in known and not key.startswith("_"))
    if unknown:
        raise ConfigError(f"{where} has unknown keys {', '.join(unknown)}; known are {', '.join(known or ())}")
    return value


def _texts(value: Any, where: str) -> dict[str, str]:
    texts = _group(value, where, None)
    for key, text in texts.items():
        if not key.strip() or not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{where}.{key} is {text!r}, a text is needed")
    return {key.strip(): text.strip() for key, text in texts.items()}
