"""The live bot as a class, for `main.py`, tests and notebooks: `Passivbot(config, options).run()` (`live.md`)."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.access import optional_config_value
from config.live_settings import live_settings
from core.clock import Clock, SystemClock
from core.paths import DEFAULT_CACHE_DIR
from exchanges.accounts import API_KEYS_FILE, Account, load_account
from exchanges.endpoints import Endpoints, load_endpoints
from live.assembly import Launch, open_bot
from live.bot import Bot, Cycle
from live.equity_history import EquityHistory, equity_history
from live.lifecycle import Lifecycle
from live.planning.decision import Decision

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Passivbot:
    """A bot for a formatted config with resolved overrides. `options` are those of the command line.

    `account` and `endpoints` stand in for the key file and the endpoints file, as paper trading wants it;
    `loopback_only` refuses any URL that leaves this machine. Raises ConfigError for what cannot be right.
    """

    def __init__(
        self,
        config: dict[str, Any],
        options: Mapping[str, Any] | None = None,
        *,
        account: Account | None = None,
        endpoints: Endpoints | None = None,
        clock: Clock | None = None,
        loopback_only: bool = False,
    ) -> None:
        given = options or {}
        stated = optional_config_value(config, "live.custom_endpoints_path")
        settings = live_settings(config)
        self.launch = Launch(
            settings=settings,
            account=account or load_account(settings.user, Path(given.get("api_keys", API_KEYS_FILE))),
            endpoints=endpoints if endpoints is not None else load_endpoints(given.get("custom_endpoints"), stated),
            cache_dir=Path(given.get("cache_dir", DEFAULT_CACHE_DIR)),
            clock=clock or SystemClock(),
            dry_run=bool(given.get("dry_run")),
            loopback_only=loopback_only,
        )
        self._bot: Bot | None = None

    # --- as a program

    def run(self) -> int:
        """Trade until SIGINT or SIGTERM, which end it with status 0; a second one ends it at once.

        Raises RunError when too many restarts were needed, KeysRefusedError, UserError.
        """
        asyncio.run(self._run())
        return 0

    async def _run(self) -> None:
        lifecycle = Lifecycle(lambda: open_bot(self.launch), self.launch.settings, self.launch.clock)
        loop = asyncio.get_running_loop()

        def on_signal(number: int) -> None:
            loop.remove_signal_handler(number)
            for other in SIGNALS:
                loop.add_signal_handler(other, os._exit, 128 + other)
            logger.info("[shutdown] %s: no more orders, closing", signal.Signals(number).name)
            lifecycle.stop()

        for number in SIGNALS:
            with suppress(NotImplementedError):  # no such handlers on Windows: Ctrl-C ends the program there
                loop.add_signal_handler(number, on_signal, number)
        await lifecycle.run()
        logger.info("[shutdown] done; open orders stay on the exchange")

    # --- step by step, for tests and tools

    async def start(self) -> Bot:
        """Open and prepare a bot without its loop; `close` ends it."""
        self._bot = open_bot(self.launch)
        await self._bot.prepare()
        return self._bot

    async def run_one_cycle(self) -> Cycle:
        """One cycle, orders included."""
        return await (self._bot or await self.start()).run_cycle()

    def let_pass(self) -> None:
        """As if 15 s had passed since the last cycle, for a clock that stands still."""
        if self._bot is not None:
            self._bot.executor.forget_recent()

    async def debug_cycle(self) -> Decision:
        """One cycle without sending anything: what would change, with the planner's request and response in it."""
        return await (self._bot or await self.start()).plan()

    async def get_balance_equity_history(self) -> EquityHistory:
        """Balance and equity by the minute, replayed from the fills (`live.md` 23)."""
        bot = self._bot or await self.start()
        return await equity_history(bot, self.launch.settings.lookback_days)

    async def close(self) -> None:
        """Close what `start` opened."""
        if self._bot is not None:
            await self._bot.aclose()
            self._bot = None
