"""Trade from the terminal: `python3 src/main.py [CONFIG] [options]`, `--help` for more (`live.md` 2)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.program import run_program

logger = logging.getLogger("main")


def main(argv: Sequence[str]) -> int:
    from config.cli import debug_level, parse_command_line
    from config.programs import MAIN
    from core.log import setup
    from core.rust_build import Extension, ensure_extension, take_rust_flags

    rust, words = take_rust_flags(argv)
    given = parse_command_line(MAIN, words)
    if given.help_text is not None:
        sys.stdout.write(given.help_text + "\n")
        return 0
    setup(debug_level(given.options, None)[0])
    config = read_config(given.config_path, given.values, given.options)
    ensure_extension(rust, Extension(say=logger.warning))
    return trade_on_paper(config, given.options) if given.options.get("paper") else trade(config, given.options)


def read_config(path: str | None, values: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a bot: file, command line over it, overrides resolved; logging as it says. Raises ConfigError."""
    from config.check import odd_values
    from config.cli import update_config_with_args
    from config.load import load_config
    from config.normalize import format_config
    from config.overrides import resolve_coin_overrides
    from core.clock import SystemClock
    from runs.program_config import set_up_logging

    clock = SystemClock()
    loaded = load_config(path, live_only=True, clock=clock)
    config = format_config(update_config_with_args(loaded, values, clock), live_only=True, clock=clock)
    set_up_logging(config, options)
    for line in odd_values(config):
        logger.warning(line)
    return resolve_coin_overrides(config, clock=clock)


def trade(config: dict[str, Any], options: Mapping[str, Any]) -> int:
    """Trade the account `live.user` of api-keys.json."""
    from passivbot import Passivbot  # ccxt takes a second
    from runs.program_config import set_up_logging

    bot = Passivbot(config, options)
    set_up_logging(config, options, f"[{bot.launch.account.exchange}]")
    return bot.run()


def trade_on_paper(config: dict[str, Any], options: Mapping[str, Any]) -> int:
    """Trade a paper account on a simulated exchange that is started with it.

    Nothing leaves this machine, except that with live prices the simulated exchange asks the real one for them.
    """
    from config.access import optional_config_value
    from config.paper_settings import paper_settings
    from core.paths import DEFAULT_CACHE_DIR
    from exchange_sim.paper import caches_of, paper_venue
    from exchange_sim.redirect import endpoints_of
    from exchanges.accounts import account_of
    from exchanges.endpoints import parse_endpoints
    from passivbot import Passivbot
    from runs.program_config import set_up_logging

    settings = paper_settings(config)
    set_up_logging(config, options, f"paper:[{settings.protocol}]")
    logging.getLogger("exchanges.client_urls").setLevel(logging.WARNING)  # every URL is another one: no news here
    config["live"]["user"] = settings.user
    real_caches = Path(options.get("cache_dir", DEFAULT_CACHE_DIR))
    endpoints = options.get("custom_endpoints", optional_config_value(config, "live.custom_endpoints_path"))
    reset = bool(options.get("paper_reset"))
    with paper_venue(settings, real_caches, reset=reset, endpoints=endpoints) as venue:
        for line in paper_banner(settings.is_synthetic, venue.note):
            logger.info("%s", line)
        keys = {"key": f"{settings.user}-key", "secret": f"{settings.user}-secret"}
        address = venue.url.removeprefix("http://")
        bot = Passivbot(
            config,
            {**options, "cache_dir": caches_of(settings)},
            account=account_of(settings.user, {"exchange": settings.protocol, **keys}),
            endpoints=parse_endpoints(endpoints_of(address, [settings.protocol]), "the simulated exchange"),
            clock=venue.clock,
            loopback_only=True,
        )
        return bot.run()


def paper_banner(synthetic: bool, note: str) -> list[str]:
    """What nobody must overlook."""
    lines = ["[boot] PAPER TRADING \N{EN DASH} no real orders", f"[boot] market: {note}"]
    return [*lines, "[boot] SYNTHETIC DATA: these prices are made up"] if synthetic else lines


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
