"""Secrets never reach a log, an error text or a traceback: what is registered here is blotted out everywhere.

Keys of an account are registered as they are read. What a client makes of them (signatures, listen keys) is known by
its name in URLs, headers and bodies.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

BLOT = "***"
SHORTEST = 6  # shorter texts would blot out ordinary words

_secrets: set[str] = set()
_NAMES = (
    r"signature|sign|listen_?key|api_?key|secret|password|passphrase|private_?key|jwt(?:_?token)?|authorization"
    r"|x-mbx-apikey|x-bapi-sign|x-bapi-api-key|(?:ok-)?access-(?:key|sign|passphrase)|kc-api-[a-z]+"
)
# name=value of a URL or form, and "name": "value" of JSON or of Python's repr.
_NAMED = re.compile(
    rf"""(?ix) (?<![a-z0-9_-]) (["']?) ({_NAMES}) \1 (\s*[=:]\s*)
    (?: (["']) [^"']+ \4 | (?:bearer\s+)? [^\s&"',;)}}\]]+ )"""
)
_PATHS = re.compile(r"(wss?://[^\s\"']*/ws/)([A-Za-z0-9]{16,})")  # a private stream is addressed by its listen key


def hide(*texts: str) -> None:
    """Blot these texts out from now on, also as URLs and JSON write them. Empty and very short ones are passed over."""
    for text in texts:
        if len(text) >= SHORTEST:
            _secrets.update((text, quote(text, safe=""), json.dumps(text)[1:-1]))


def redacted(text: str) -> str:
    """The text without secrets."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, BLOT)
    return _PATHS.sub(rf"\1{BLOT}", _NAMED.sub(_blotted, text))


def _blotted(found: re.Match[str]) -> str:
    mark, name, between, quotes = found[1], found[2], found[3], found[4] or ""
    return f"{mark}{name}{mark}{between}{quotes}{BLOT}{quotes}"
