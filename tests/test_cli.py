"""The command line: flags from the schema, merging, help, levels (`config_cli_suite.md` 8)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from config.access import optional_config_value
from config.cli import (
    debug_level,
    full_help,
    glue_negative_values,
    parse_command_line,
    short_help,
    update_config_with_args,
)
from config.flags import spellings
from config.load import load_config
from config.normalize import format_config
from config.programs import BACKTEST, BACKTEST_SUITE, DOWNLOAD, MAIN, OPTIMIZE, Program
from config.suite import apply_suite_options
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError, DataError, UsageError
from core.program import run_program

ROOT = Path(__file__).parents[1]
CLOCK = ManualClock(date_to_ts("2026-11-21"))
PROGRAMS = [BACKTEST, OPTIMIZE, MAIN, DOWNLOAD, BACKTEST_SUITE]


def values(program: Program, line: str) -> dict[str, Any]:
    return dict(parse_command_line(program, line.split()).values)


def options(program: Program, line: str) -> dict[str, Any]:
    return dict(parse_command_line(program, line.split()).options)


def merged(program: Program, line: str, *, live_only: bool = False) -> dict[str, Any]:
    """The shipped template with arguments laid over it, as programs do it."""
    config = load_config(live_only=live_only, clock=CLOCK)
    return format_config(
        update_config_with_args(config, values(program, line), CLOCK), live_only=live_only, clock=CLOCK
    )


def shorts(program: Program, section: str) -> dict[str, str]:
    """`{short form: rest of the path}` of the keys of a section."""
    found = spellings(program.keys())
    return {
        flags[0][1:]: path.removeprefix(f"{section}.")
        for path, flags in found.items()
        if path.startswith(f"{section}.") and not flags[0].startswith("--")
    }


# --- flags ---


def test_short_forms_of_bot_keys(shared: Path) -> None:
    """Every bot key has the short form of table 5.1, for both sides."""
    spec = (shared / "spec" / "config_cli_suite.md").read_text().split("### 5.1")[1].split("### 5.2")[0]
    table = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", spec, re.MULTILINE)
    assert len(table) == 37
    for program in (BACKTEST, MAIN):
        found = shorts(program, "bot")
        assert found == {f"{p[0]}{flag}": f"{p}.{key}" for p in ("long", "short") for key, flag in table}
    bounds = {k: v for k, v in shorts(OPTIMIZE, "optimize").items() if v.startswith("bounds.")}
    assert bounds == {f"{p[0]}{flag}": f"bounds.{p}_{key}" for p in ("long", "short") for key, flag in table}


@pytest.mark.parametrize(
    ("program", "section", "expected"),
    [
        (BACKTEST, "backtest",
         "bsd bd bcc bclc co cc ed e fbmec gtom mfo mwm sd sb sad sbl se sibs ss"),
        (OPTIMIZE, "backtest",
         "bsd bd bcc bclc co cc ed e fbmec gtom mfo mwm sd sb sad sbl se sibs ss"),
        (BACKTEST, "live", "s hm i mcad"),
        (OPTIMIZE, "live", "s mcad"),
        (DOWNLOAD, "live", "s i"),
        (DOWNLOAD, "backtest", "co ed e sd"),
        (MAIN, "live",
         "s i ag bhsp bo clts emaa eds fbmec fml fms hm icctm l moa mdcpspt mmcps mncpb mncpb2 mnrpd mwm mcad omtp "
         "pmld pdt rwm tif u wjs wr wc mcar"),
        (DOWNLOAD, "logging", "lmsim lvrits ll"),
        (MAIN, "logging", "lmsim lvrits"),
        (BACKTEST, "logging", "lmsim lvrits"),
        (OPTIMIZE, "logging", "lmsim lvrits ll"),
        (MAIN, "backtest", ""),
    ],
)  # fmt: skip
def test_short_forms(program: Program, section: str, expected: str) -> None:
    """Exactly the short forms of table 8.4."""
    assert set(shorts(program, section)) == set(expected.split())


def test_short_forms_of_the_optimizer() -> None:
    found = {k: v for k, v in shorts(OPTIMIZE, "optimize").items() if not v.startswith("bounds.")}
    assert found == {
        "crf": "compress_results_file", "ce": "crossover_eta", "cp": "crossover_probability", "eo": "enable_overrides",
        "i": "iters", "l": "limits", "me": "mutation_eta", "mi": "mutation_indpb", "mp": "mutation_probability",
        "c": "n_cpus", "om": "offspring_multiplier", "pms": "pareto_max_size", "ps": "population_size",
        "rtnsd": "round_to_n_significant_digits", "os": "scoring", "war": "write_all_results",
    }  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program.name))
def test_no_flag_is_given_twice(program: Program) -> None:
    """Generated and fixed options never collide; optional keys have long spellings only."""
    keys = program.keys()
    found = spellings(keys)
    flags = [f for group in found.values() for f in group] + [f for o in program.options for f in o.flags]
    assert len(flags) == len(set(flags))
    assert all(flag.startswith("--") for key in keys if key.optional for flag in found[key.path])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--backtest.end_date 2022", "2022"),
        ("--backtest_end_date 2022", "2022"),
        ("--backtest.end 2022", "2022"),
        ("-ed 2022", "2022"),
        ("-ed=2022", "2022"),
    ],
)
def test_spellings(line: str, expected: str) -> None:
    """Dots, underscores, unambiguous beginnings and the short form."""
    assert values(BACKTEST, line) == {"backtest.end_date": expected}


@pytest.mark.parametrize(
    ("program", "line", "path", "value"),
    [
        (BACKTEST, "-co N", "backtest.combine_ohlcvs", False),
        (BACKTEST, "-fbmec n", "backtest.filter_by_min_effective_cost", False),
        (BACKTEST, "-bclc none", "backtest.btc_collateral_ltv_cap", None),
        (BACKTEST, "-bclc 0.5", "backtest.btc_collateral_ltv_cap", 0.5),
        (BACKTEST, "-mfo 0.0001", "backtest.maker_fee_override", "0.0001"),
        (BACKTEST, "-e binance,,bybit", "backtest.exchanges", ["binance", "bybit"]),
        (BACKTEST, '-ss [{"label":"a"}]', "backtest.suite.scenarios", [{"label": "a"}]),
        (BACKTEST, "-leied -0.1", "bot.long.entry_initial_ema_dist", -0.1),
        (BACKTEST, "--offline", "backtest.offline", True),
        (BACKTEST, "--cm-debug", "backtest.cm_debug_level", 1),
        (BACKTEST, "--cm-debug 3", "backtest.cm_debug_level", 3),
        (BACKTEST, "--cm-progress", "backtest.cm_progress_log_interval_seconds", 30.0),
        (OPTIMIZE, "-i 1e5", "optimize.iters", 100000),
        (OPTIMIZE, "-les0 100,900,10", "optimize.bounds.long_ema_span_0", [100.0, 900.0, 10.0]),
        (OPTIMIZE, "-leied -0.1,0.002", "optimize.bounds.long_entry_initial_ema_dist", [-0.1, 0.002]),
        (OPTIMIZE, "-eo forward_tp_grid", "optimize.enable_overrides", ["forward_tp_grid"]),
        (OPTIMIZE, "--seed 7", "optimize.seed", 7),
        (OPTIMIZE, "--seed none", "optimize.seed", None),
        (OPTIMIZE, "--executor serial", "optimize.executor", "serial"),
        (OPTIMIZE, '--optimize.holdout {"fraction":0.2}', "optimize.holdout", {"fraction": 0.2}),
        (MAIN, "--paper Binance", "paper.protocol", "binance"),
        (MAIN, "--paper-fees 0.0002,0.0005", "paper.fees", [0.0002, 0.0005]),
        (MAIN, "-fml gs", "live.forced_mode_long", "gs"),
    ],
)
def test_values(program: Program, line: str, path: str, value: Any) -> None:
    """Each kind of key reads its text: booleans are no casts (F1), lists are lists (F2)."""
    assert values(program, line) == {path: value}


@pytest.mark.parametrize("flag", ["--limits", "-l", "--optimize.limits"])
def test_limits_with_a_blank(flag: str) -> None:
    """A text of limits looks like an option, but has a blank in it: quoting is enough."""
    given = parse_command_line(OPTIMIZE, [flag, "--adg 0.001"])
    assert given.values == {"optimize.limits": "--adg 0.001"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program.name))
def test_programs_that_fetch(program: Program) -> None:
    """Every one of them can be sent to another venue, with a cache of its own (`additions.md` 16)."""
    given = options(program, "--custom-endpoints e.json --cache-dir d")
    assert given == {"custom_endpoints": "e.json", "cache_dir": "d"}
    assert options(program, "--custom-endpoints none") == {"custom_endpoints": "none"}


@pytest.mark.parametrize(
    ("program", "line", "given"),
    [
        (BACKTEST, "--fail-on-missing-coins --force-refetch-gaps", {"fail_on_missing_coins": True,
                                                                    "force_refetch_gaps": True}),
        (DOWNLOAD, "--fail-on-missing-coins --force-refetch-gaps", {"fail_on_missing_coins": True,
                                                                    "force_refetch_gaps": True}),
        (OPTIMIZE, "--resume r --ray-address auto", {"resume": "r", "ray_address": "auto"}),
        (OPTIMIZE, "-ft a,b", {"fine_tune_params": ["a", "b"]}),
        (OPTIMIZE, "--fine-tune-params a", {"fine_tune_params": ["a"]}),
        (OPTIMIZE, "--suite-config c.json --suite y", {"suite_config": "c.json", "suite": True}),
        (BACKTEST_SUITE, "--suite-config c.json -dp", {"suite_config": "c.json", "disable_plotting": True}),
        (MAIN, "--paper-reset", {"paper_reset": True}),
    ],
)  # fmt: skip
def test_further_options(program: Program, line: str, given: dict[str, Any]) -> None:
    """The fixed options of 8.5."""
    assert options(program, line) == given


@pytest.mark.parametrize(
    ("program", "line"), [(BACKTEST_SUITE, "--force-refetch-gaps"), (MAIN, "--offline"), (DOWNLOAD, "-sb 3")]
)
def test_options_of_other_programs_are_unknown(program: Program, line: str) -> None:
    """A program takes what concerns it."""
    with pytest.raises(UsageError, match="unknown"):
        parse_command_line(program, line.split())


@pytest.mark.parametrize(
    ("argv", "glued"),
    [
        (["-leied", "-0.1,0.002"], ["-leied=-0.1,0.002"]),
        (["-leied=1", "-0.1,0.002"], ["-leied=1", "-0.1,0.002"]),
        (["-leied", "-0.1"], ["-leied", "-0.1"]),
        (["x", "-0.1,2"], ["x", "-0.1,2"]),
        (["--a", "--", "-b", "-0.1,2"], ["--a", "--", "-b", "-0.1,2"]),
        (["-dp", "-ft=a,b"], ["-dp", "-ft=a,b"]),
    ],
)
def test_gluing(argv: list[str], glued: list[str]) -> None:
    assert glue_negative_values(argv) == glued


@pytest.mark.parametrize(
    ("program", "line", "path", "given"),
    [
        (BACKTEST, "--suite c.json", "c.json", {"suite": True}),
        (BACKTEST, "c.json --suite", "c.json", {"suite": True}),
        (BACKTEST, "--suite n c.json", "c.json", {"suite": False}),
        (BACKTEST, "--suite -dp", None, {"suite": True, "disable_plotting": True}),
        (BACKTEST, "c.json -dp --cache-dir d", "c.json", {"disable_plotting": True, "cache_dir": "d"}),
        (BACKTEST, "--cm-debug c.json", "c.json", {}),
        (OPTIMIZE, "-t seed.json c.json", "c.json", {"start": ["seed.json"]}),
        (OPTIMIZE, "-t a --start b", None, {"start": ["a", "b"]}),
        (MAIN, "--paper c.json --dry-run", "c.json", {"paper": True, "dry_run": True}),
        (MAIN, "--paper", None, {"paper": True}),
        (MAIN, "--paper=binance --paper-reset", None, {"paper": True, "paper_reset": True}),
        (MAIN, "--paper-balance 5", None, {}),
        (BACKTEST, "-- -strange.json", "-strange.json", {}),
    ],
)
def test_config_path_and_options(program: Program, line: str, path: str | None, given: dict[str, Any]) -> None:
    """Options with a value that may be left out never swallow the config's path."""
    parsed = parse_command_line(program, line.split())
    assert (parsed.config_path, parsed.options) == (path, given)


@pytest.mark.parametrize(
    ("program", "line", "message"),
    [
        (BACKTEST, "--nonsense", "--nonsense"),
        (BACKTEST, "--start-date 2024", r"did you mean --backtest\.start_date\?"),
        (MAIN, "--n_positions 3", r"did you mean --bot\.long\.n_positions\?"),
        (DOWNLOAD, "--ofline", r"did you mean --offline\?"),
        (BACKTEST, "-sbb 5", r"unknown option -sbb \(did you mean -sb\?\)"),
        (BACKTEST, "-sb much", "'much' is not a number"),
        (BACKTEST, "-sb nan", "'nan' is not a number"),
        (BACKTEST, "-co maybe", "'maybe' is neither"),
        (BACKTEST, "--backtest.s 1", "ambiguous"),
        (BACKTEST, "-ss {}", "JSON list"),
        (BACKTEST, "-ss [", "is not JSON"),
        (BACKTEST, "-sb", "expected one argument"),
        (BACKTEST, "a.json b.json", "unknown argument b.json"),
        (OPTIMIZE, "-i 1.5", "'1.5' is not an integer"),
        (MAIN, "-sd 2024", "-sd"),
    ],
)
def test_usage_errors(program: Program, line: str, message: str) -> None:
    """One line that names the argument; an unknown short option is not read as another one with a value."""
    with pytest.raises((UsageError, ConfigError), match=message):
        parse_command_line(program, line.split())


# --- merging ---


def test_merge_into_the_template() -> None:
    """The example of 8.3."""
    line = "-s BTC,ETH -sd 2023 -ed 2024-02 -sb 5000 -e bybit -co n -lnp 3.4 -ltwel 2 -hm n"
    config = merged(BACKTEST, line)
    backtest, live = config["backtest"], config["live"]
    assert live["approved_coins"] == {"long": ["BTC", "ETH"], "short": ["BTC", "ETH"]}
    assert config["_coins_sources"]["approved_coins"] == live["approved_coins"]
    assert (backtest["start_date"], backtest["end_date"]) == ("2023", "2024-02-01")
    assert (backtest["starting_balance"], type(backtest["starting_balance"])) == (5000, int)
    assert (backtest["exchanges"], backtest["combine_ohlcvs"], live["hedge_mode"]) == (["bybit"], False, False)
    assert (config["bot"]["long"]["n_positions"], config["bot"]["long"]["total_wallet_exposure_limit"]) == (3, 2.0)
    (entry,) = [e for e in config["_transform_log"] if e["step"] == "update_config_with_args"]
    assert {"path": "live.hedge_mode", "old": True, "new": False} in entry["details"]["diffs"]
    assert "bot.long.n_positions" in entry["details"]["keys"]


@pytest.mark.parametrize("word", ["none", "NULL", ""])
def test_collateral_ceiling_can_be_cleared(word: str) -> None:
    """`-bclc none` sets null over a number (F11)."""
    config = load_config(clock=CLOCK)
    config["backtest"]["btc_collateral_ltv_cap"] = 0.5
    given = parse_command_line(BACKTEST, ["-bclc", word]).values
    merged_config = format_config(update_config_with_args(config, given, CLOCK), clock=CLOCK)
    assert merged_config["backtest"]["btc_collateral_ltv_cap"] is None


def test_paper_follows_the_config_unless_told_otherwise() -> None:
    """A bare `--paper` switches paper trading on and leaves the protocol to the config; with a name the flag wins."""
    config = load_config(clock=CLOCK)
    config["paper"] = {"protocol": "binance"}
    assert values(MAIN, "--paper --paper-balance 5") == {"paper.balance": 5}
    bare = update_config_with_args(config, values(MAIN, "--paper"), CLOCK)
    assert optional_config_value(bare, "paper.protocol") == "binance"
    told = update_config_with_args(config, values(MAIN, "--paper bybit"), CLOCK)
    assert optional_config_value(told, "paper.protocol") == "bybit"


def test_merge_of_bounds() -> None:
    """In the optimizer the same short forms set bounds."""
    bounds = merged(OPTIMIZE, "-ltwel 1.5 -les0 100,900,10 -lnp 9,2")["optimize"]["bounds"]
    assert bounds["long_total_wallet_exposure_limit"] == [1.5, 1.5]
    assert bounds["long_ema_span_0"] == [100.0, 900.0, 10.0]
    assert bounds["long_n_positions"] == [2.0, 9.0]


def test_equal_values_are_no_change() -> None:
    config = load_config(clock=CLOCK)
    result = update_config_with_args(config, {"backtest.starting_balance": 100000.0, "live.leverage": 5.5}, CLOCK)
    assert result["_transform_log"][-1]["details"] == {
        "keys": ["backtest.starting_balance", "live.leverage"],
        "diffs": [{"path": "live.leverage", "old": 10, "new": 5.5}],
    }
    assert result["backtest"]["starting_balance"] == 100000
    assert config["live"]["leverage"] == 10


def test_live_merge_keeps_the_source() -> None:
    """The live bot formats live-only; coins given as flags replace the file for good."""
    config = merged(MAIN, "-s BTC -u me", live_only=True)
    assert config["_coins_sources"]["approved_coins"] == {"long": ["BTC"], "short": ["BTC"]}
    assert config["live"]["user"] == "me"


def test_suite_options(shared: Path) -> None:
    """The other config's suite replaces top-level keys; its `enabled` counts, then `--suite`."""
    reference = shared / "reference_configs"
    one = load_config(reference / "01_btc_long_grid_only.json", clock=CLOCK)
    five = load_config(reference / "05_forager_5_coins_unstuck.json", clock=CLOCK)
    laid = apply_suite_options(one, None, five)["backtest"]["suite"]
    assert (laid["enabled"], len(laid["scenarios"])) == (False, 3)
    assert apply_suite_options(one, True, five)["backtest"]["suite"]["enabled"] is True
    assert one["backtest"]["suite"]["scenarios"] == []


def test_other_config_needs_a_suite() -> None:
    """A file without `backtest.suite` has nothing to lay over the config."""
    bare = {"bot": {"long": {}, "short": {}}, "live": {}}
    config = load_config(clock=CLOCK)
    without = {**format_config(bare, base_config_path="x.json", clock=CLOCK), "_raw": bare}
    with pytest.raises(ConfigError, match=r"--suite-config x\.json has no backtest\.suite"):
        apply_suite_options(config, True, without)
    with_one = {**without, "_raw": {"config": {**bare, "backtest": {"suite": {}}}}}
    assert apply_suite_options(config, None, with_one)["backtest"]["suite"]["scenarios"] == []


@pytest.mark.parametrize(
    ("line", "configured", "level", "warned"),
    [
        ("-v --debug-level 0", 0, 2, False),
        ("--log-level trace", 1, 3, False),
        ("--debug-level 2.9", 1, 2, False),
        ("--debug-level -1", 1, 0, False),
        ("--debug-level 7", 1, 3, False),
        ("", "W", 0, False),
        ("", "nonsense", 1, False),
        ("--debug-level nonsense", 0, 0, True),
    ],
)
def test_debug_level(line: str, configured: Any, level: int, warned: bool) -> None:
    """-v beats the flag, which beats the config; what is no level counts as not given, with a warning."""
    got, warning = debug_level(options(BACKTEST, line), configured)
    assert (got, warning is not None) == (level, warned)


# --- the top of a program ---


def raising(error: BaseException) -> Callable[[Sequence[str]], int]:
    def main(argv: Sequence[str]) -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ConfigError("live.user is 3:\nuse a text"), 2, "error: live.user is 3: use a text"),
        (DataError("no candles"), 1, "error: no candles"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "caches"), 1, "error: caches: Permission denied"),
        (ZeroDivisionError("x"), 1, "error: unexpected ZeroDivisionError: x (--debug-level 2 shows where)"),
    ],
)
def test_failures_are_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    """The class of an error decides the exit status."""
    assert run_program(raising(error), []) == status
    assert capsys.readouterr().err == line + "\n"


# --- help and the program itself ---


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program.name))
def test_help(program: Program) -> None:
    """The short help has examples that parse; the full help names every flag."""
    text = short_help(program)
    assert "--help-all" in text
    assert "examples:" in text
    assert ("--force-rust-compile" in text) is (program is not DOWNLOAD)
    for command, _ in program.examples:
        parse_command_line(program, command.split())
    everything = full_help(program)
    for flags in spellings(program.keys()).values():
        assert flags[0] in everything
    assert parse_command_line(program, ["x", "--help-all"]).help_text == everything


def start(*argv: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SKIP_RUST_COMPILE": "1"}
    return subprocess.run(
        [sys.executable, str(ROOT / "src" / "backtest.py"), *argv],
        capture_output=True, text=True, cwd=cwd, env=environment, timeout=60, check=False,
    )  # fmt: skip


def test_help_is_quick() -> None:
    """`--help` imports nothing heavy: that is what keeps it within 0.2 s (measured by `make bench`)."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "src" / "backtest.py"), "--help"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert result.stdout == short_help(BACKTEST) + "\n"
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert "argparse" in imported
    assert not imported & {"numpy", "pandas", "ccxt", "matplotlib", "pyarrow", "aiohttp", "hjson", "passivbot_rust"}


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["nowhere.json"], "error: config file nowhere.json does not exist; check the path"),
        (["-sb", "much"], "error: argument -sb/--backtest.starting_balance/"),
        (["-sd", "now"], "error: backtest.start_date: Unable to parse date string 'now'"),
        (["-ltwel", "1", "--nonsense"], "error: unknown argument --nonsense"),
        (["-e", "sample,binance"], "error: backtest.exchanges is ['sample', 'binance']: sample cannot"),
        (["-s", "ETH", "-i", "ETH"], "error: no coin to trade"),
    ],
)  # fmt: skip
def test_user_errors_are_one_line(tmp_path: Path, argv: list[str], line: str) -> None:
    """Status 2, one clear line, no traceback (21)."""
    result = start(*argv, "--log-level", "0", "--offline", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in result.stderr


def test_traceback_from_debug_level_2_on(tmp_path: Path) -> None:
    result = start("-e", "sample,binance", "-v", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" in result.stderr


def test_reader_of_the_output_may_leave(tmp_path: Path) -> None:
    """A closed pipe is no error to report."""
    command = f"{sys.executable} {ROOT / 'src' / 'backtest.py'} --help-all | head -1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert result.stderr == ""
