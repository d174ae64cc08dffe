"""The command line: parsing by the schema, help, and laying what was given over a config (`config_cli_suite.md` 8)."""

from __future__ import annotations

import argparse
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from config.flags import parser_of, spellings
from config.programs import Option, Program
from config.schema import BY_PATH
from core.clock import Clock
from core.errors import UsageError
from core.log import parse_level

_NEGATIVE_LIST = re.compile(r"-[\d.][^=]*,")
_SHORT_OPTION = re.compile(r"-[A-Za-z]")
_RUST_HELP = (
    ("--skip-rust-compile", "use the extension as it is (also SKIP_RUST_COMPILE=1)"),
    ("--force-rust-compile", "rebuild the extension first"),
    ("--fail-on-stale-rust", "stop when the extension is older than its sources"),
)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was given: config path, values by dotted path, further options by name; a help text if asked for."""

    config_path: str | None
    values: Mapping[str, Any]
    options: Mapping[str, Any]
    help_text: str | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see --help")


def parse_command_line(program: Program, argv: Sequence[str]) -> CommandLine:
    """Read the arguments of a program. Raises UsageError naming the argument."""
    before_end = list(argv)[: argv.index("--")] if "--" in argv else list(argv)
    if "--help-all" in before_end:
        return CommandLine(None, {}, {}, full_help(program))
    if "-h" in before_end or "--help" in before_end:
        return CommandLine(None, {}, {}, short_help(program))
    parser = _build_parser(program)
    known = [flag for action in parser._actions for flag in action.option_strings]
    words = _attach_values(glue_negative_values(argv), program.options)
    _refuse_unknown_shorts(words, known)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        raise UsageError(f"unknown argument {unknown[0]}{_nearest(unknown[0], known)}; see --help")
    found = vars(given)
    _set_switches(found, program.options)
    config_path = found.pop("config_path", None)
    is_value = {name: name in BY_PATH or name.startswith("backtest.cm_") for name in found}
    return CommandLine(
        config_path,
        {name: value for name, value in found.items() if is_value[name]},
        {name: value for name, value in found.items() if not is_value[name]},
    )


def _set_switches(found: dict[str, Any], options: Sequence[Option]) -> None:
    for option in options:
        if option.switch and option.dest in found:
            found[option.switch] = True
            if found[option.dest] == option.const:
                del found[option.dest]


def _build_parser(program: Program) -> _Parser:
    parser = _Parser(prog=program.name, add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("config_path", nargs="?")
    for option in program.options:
        _add_option(parser, option)
    keys = program.keys()
    flags = spellings(keys)
    for key in keys:
        parser.add_argument(*flags[key.path], dest=key.path, type=parser_of(key))
    return parser


def _add_option(parser: _Parser, option: Option) -> None:
    if option.const is not None and option.accepts is None:
        parser.add_argument(*option.flags, dest=option.dest, action="store_const", const=option.const)
    elif option.const is not None:
        parser.add_argument(*option.flags, dest=option.dest, nargs="?", const=option.const, type=option.parse)
    else:
        action = "append" if option.repeatable else "store"
        parser.add_argument(*option.flags, dest=option.dest, action=action, type=option.parse)


def glue_negative_values(argv: Sequence[str]) -> list[str]:
    """`-leied -0.1,0.002` -> `-leied=-0.1,0.002`: a list that begins with a minus is no option. Stops at `--`."""
    words: list[str] = []
    for number, word in enumerate(argv):
        if word == "--":
            return words + list(argv[number:])
        previous = words[-1] if words else ""
        if _NEGATIVE_LIST.match(word) and re.match(r"--?[A-Za-z]", previous) and "=" not in previous:
            words[-1] = f"{previous}={word}"
        else:
            words.append(word)
    return words


def _attach_values(words: Sequence[str], options: Sequence[Option]) -> list[str]:
    """Give options whose value may be left out their value, so that they never swallow the config's path."""
    optional = {flag: option for option in options if option.accepts for flag in option.flags}
    result: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = optional.get(word)
        if word == "--":
            return [*result, word, *rest]
        if option is not None and option.accepts is not None:
            has_value = bool(rest) and option.accepts(rest[0])
            word = f"{word}={rest.pop(0) if has_value else _as_text(option.const)}"
        result.append(word)
    return result


def _as_text(const: Any) -> str:
    return "y" if const is True else str(const)


def _refuse_unknown_shorts(words: Sequence[str], known: Sequence[str]) -> None:
    """argparse would read an unknown `-sbb` as `-s bb`."""
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if _SHORT_OPTION.match(name) and " " not in word and name not in known:
            raise UsageError(f"unknown option {name}{_nearest(name, known)}; see --help")


def _nearest(word: str, known: Sequence[str]) -> str:
    import difflib  # only needed for a hint

    name = word.partition("=")[0]
    leaf = name.lstrip("-").replace("-", "_")
    same_key = [flag for flag in known if flag.startswith("--") and flag.rpartition(".")[2] == leaf]
    close = same_key or difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


# --- help ---


def short_help(program: Program) -> str:
    """The usual options and some examples."""
    script = f"python3 src/{program.name}.py"
    flags = spellings(program.keys())
    usual = [(f"{flags[path][0]}, {flags[path][-2]}", BY_PATH[path].doc) for path in program.usual]
    width = max(len(command) for command, _ in program.examples)
    return "\n".join([
        f"usage: {script} [CONFIG] [options]", "", program.purpose, "",
        *_table([("CONFIG", "config file (default configs/template.json)")]),
        *_table(usual + _option_rows(program)), "",
        "examples:",
        *(f"  {script} {command:<{width}}  {meaning}" for command, meaning in program.examples), "",
        "Further keys of the config have flags as well: --help-all lists them.",
    ])  # fmt: skip


def full_help(program: Program) -> str:
    """Every option, by section."""
    lines = [
        f"usage: python3 src/{program.name}.py [CONFIG] [options]",
        "",
        program.purpose,
        "",
        *_table(_option_rows(program)),
    ]
    keys = program.keys()
    flags = spellings(keys)
    for section in dict.fromkeys(key.section for key in keys):
        rows = [(", ".join(flags[k.path][:-1]), k.doc) for k in keys if k.section == section]
        lines += ["", f"{section}:", *_table(rows)]
    return "\n".join(lines)


def _option_rows(program: Program) -> list[tuple[str, str]]:
    rows = [(", ".join(o.flags) + _value_of(o), o.doc) for o in program.options]
    return [*rows, *(_RUST_HELP if program.runs_engine else ()), ("-h, --help; --help-all", "this help; every key")]


def _value_of(option: Option) -> str:
    return "" if option.const is not None and option.accepts is None else f" {option.metavar}"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [
        f"  {left:<42} {doc}".rstrip() if len(left) <= 42 else f"  {left}\n{'':<45}{doc}".rstrip() for left, doc in rows
    ]


# --- values over a config ---


def update_config_with_args(config: Mapping[str, Any], values: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """A copy of `config` with the values written to their paths; the transform log tells the differences (8.3)."""
    from config.access import set_config_value  # lazily: parsing and help need nothing of what follows
    from config.changes import SOURCES_KEY, abbreviate, record
    from config.coins import sides_of

    result = copy.deepcopy(dict(config))
    diffs = []
    for path, given in values.items():
        old = _value_at(result, path)
        new = _coerced(given, old)
        if path in ("live.approved_coins", "live.ignored_coins"):
            new = sides_of(given, path)
            result.setdefault(SOURCES_KEY, {})[path.removeprefix("live.")] = copy.deepcopy(new)
        if new != old or type(new) is not type(old):
            diffs.append({"path": path, "old": abbreviate(old), "new": abbreviate(new)})
        set_config_value(result, path, new)
    if values:
        record(result, "update_config_with_args", clock, {"keys": sorted(values), "diffs": diffs})
    return result


def _value_at(config: Mapping[str, Any], path: str) -> Any:
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _coerced(new: Any, old: Any) -> Any:
    """A number takes the type of the number it replaces, as far as it can; anything else is stored as it is."""
    if isinstance(old, bool) and new is not None:
        return bool(new)
    if isinstance(old, int | float) and isinstance(new, int | float) and not isinstance(new, bool):
        is_whole = isinstance(old, int) and float(new).is_integer()
        return int(new) if is_whole else new if isinstance(old, int) else float(new)
    return new


def debug_level(options: Mapping[str, Any], configured: Any) -> tuple[int, str | None]:
    """The level 0..3 by -v, --debug-level and `logging.level`, and a warning when the one given is no level."""
    if options.get("verbose"):
        return 2, None
    given = options.get("debug_level")
    level = parse_level(given)
    if level is not None:
        return level, None
    fallback = parse_level(configured)
    fallback = 1 if fallback is None else fallback
    unclear = (
        given is not None
        and f"--debug-level {given} is no level (0, 1, 2, 3, warning, info, debug, trace): {fallback} is used"
    )
    return fallback, unclear or None
