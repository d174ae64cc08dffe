"""The key tables of `docs/configuration.md`, made from the schema: `python3 -m config.doc` (in `src/`) writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from config.flags import spellings
from config.key import Key
from config.programs import BACKTEST, MAIN, OPTIMIZE
from config.schema import KEYS
from config.schema_bot import BOT_KEYS
from core.files import write_text
from core.paths import SOURCE_ROOT

_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def documented_tables(text: str) -> str:
    """`text` with what stands between `<!-- table: SECTION -->` and `<!-- end -->` made anew."""
    return _TABLE.sub(lambda found: f"{found[1]}{_table(found[2])}{found[3]}", text)


def _table(section: str) -> str:
    if section == "bot":
        return _lines(
            ("key", "flag", "default", "unit", "per coin", "meaning"),
            (
                (f"`{k.name}`", _bot_flag(k.name), _value(k.default), k.unit, "yes" if k.overridable else "", k.doc)
                for k in BOT_KEYS
            ),
        )
    keys = [key for key in KEYS if key.section == section and not key.path.startswith("optimize.bounds.")]
    rows = (
        (f"`{key.path.partition('.')[2] or key.path}`", _flag(key), _value(key.default), _kind(key), key.doc)
        for key in keys
    )
    return _lines(("key", "flag", "default", "value", "meaning"), rows)


def _lines(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    all_rows = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in all_rows)


def _bot_flag(name: str) -> str:
    long = spellings(MAIN.keys())[f"bot.long.{name}"][0]
    return f"`{long}` `-s{long[2:]}`"


def _flag(key: Key) -> str:
    """The shortest spelling in the program that knows the key."""
    for program in (BACKTEST, MAIN, OPTIMIZE):
        option = next((o for o in program.options if o.dest == key.path), None)
        if option is not None:
            return f"`{option.flags[0]}`"
        flags = spellings(program.keys())
        if key.path in flags:
            return f"`{flags[key.path][0]}`"
    return ""


def _value(value: object) -> str:
    return f"`{json.dumps(value)}`"


def _kind(key: Key) -> str:
    kind = f"one of {', '.join(key.choices)}" if key.choices else str(key.kind)
    parts = [
        kind,
        *([key.unit] if key.unit else []),
        *(["or null"] if key.nullable else []),
        *(["optional"] if key.optional else []),
    ]
    return ", ".join(parts)


if __name__ == "__main__":
    page = SOURCE_ROOT / "docs" / "configuration.md"
    write_text(page, documented_tables(page.read_text(encoding="utf-8")))
