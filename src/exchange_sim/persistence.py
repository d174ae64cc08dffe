"""Accounts that outlive the venue (`exchange_simulator.md` 12), in `{state_dir}/{protocol}/{account}/`.

Everything that a request or the market's way led to is on disk before anybody is told. New fills are appended to
`fills.jsonl` first, then `account.json` is replaced: its `last_fill_id` says which of them belong to it, its
`matched_ms` how far the market was. So a venue that is killed at any moment begins again with a whole account. Fills
beyond `last_fill_id`, and a torn last line, are dropped: matching the candles after `matched_ms` makes them again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from core.errors import ConfigError, DataError, RunError
from core.files import read_json, write_text
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Event, Fill, Order
from exchange_sim.trading.state import dump_account, load_account, load_record
from exchange_sim.venue import Venue

logger = logging.getLogger(__name__)

MATCHED = "matched_ms"
ACCOUNT_FILE, FILLS_FILE = "account.json", "fills.jsonl"


class Persistence:
    """Saves what changes, loads it at the start. Raises ConfigError for a stepped venue: tests keep all in memory."""

    def __init__(self, venue: Venue, state_dir: Path) -> None:
        if venue.is_stepped:
            raise ConfigError(f"state_dir {state_dir}: a stepped venue keeps its accounts in memory; remove the key")
        self.venue, self.state_dir = venue, state_dir
        self._is_changed = False
        self._saved: dict[Path, str] = {}  # without the time, which is no change
        self._fills_saved: dict[Path, int] = {}
        for engine in venue.engines.values():
            engine.subscribe(self._happened)
        venue.on_pulse(self.save)

    def load(self) -> None:
        """Take up the accounts where they were left, and match the candles that passed since. Raises DataError."""
        matched: list[int] = []
        for name, engine in self.venue.engines.items():
            for path in sorted(self.state_dir.glob(f"{name}/*/{ACCOUNT_FILE}")):
                content = read_json(path)
                account, matched_ms = _load(path, content)
                engine.accounts[account.key] = account
                self._fills_saved[path.parent] = account.last_fill_id
                matched.append(matched_ms)
        if matched:
            self.venue.driver.restart(min(matched))
            self.venue.settle()
            self._is_changed = True
            self.save()

    def save(self) -> None:
        """Write what has changed. A disk that refuses is logged, and tried again with the next change or pulse."""
        accounts = [
            (name, account) for name, engine in self.venue.engines.items() for account in engine.accounts.values()
        ]
        dumps = {self._folder(name, account.key): (account, _text(account)) for name, account in accounts}
        if not self._is_changed and all(self._saved.get(folder) == text for folder, (_, text) in dumps.items()):
            return
        try:
            for folder, (account, text) in dumps.items():
                self._append(folder, account)
                whole = {**json.loads(text), MATCHED: self.venue.driver.now_ms}
                write_text(folder / ACCOUNT_FILE, json.dumps(whole) + "\n", fsync=False)
                self._saved[folder] = text
        except (OSError, RunError) as exc:
            self._is_changed = True
            logger.error("sim_state_not_saved error=%s", exc)
            return
        self._is_changed = False

    def close(self) -> None:
        """Save how far the market has come, even if that changed nothing: a venue of the past goes on from there."""
        self._is_changed = True
        self.save()

    def _append(self, folder: Path, account: Account) -> None:
        saved = self._fills_saved.get(folder, 0)
        if account.last_fill_id <= saved:
            return
        new = sorted((fill for fill in account.fills if fill.id > saved), key=lambda fill: fill.id)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILLS_FILE
        whole = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(asdict(fill)) + "\n" for fill in new))
        except OSError:
            os.truncate(path, whole)  # what comes next must not follow half a line
            raise
        self._fills_saved[folder] = account.last_fill_id

    def _folder(self, protocol: str, key: str) -> Path:
        """Named after the key, but does not tell it."""
        return self.state_dir / protocol / hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    def _happened(self, event: Event) -> None:
        self._is_changed = True


def saved_until(state_dir: Path) -> int | None:
    """How far the market was when a venue last saved its accounts here; a venue of the past goes on from there."""
    times = [int(read_json(path)[MATCHED]) for path in state_dir.glob(f"*/*/{ACCOUNT_FILE}")]
    return max(times, default=None)


def _text(account: Account) -> str:
    return json.dumps(dump_account(account))


def _load(path: Path, content: Any) -> tuple[Account, int]:
    matched_ms = content.pop(MATCHED, None) if isinstance(content, dict) else None
    if type(matched_ms) is not int:
        raise DataError(
            f"{path}: {MATCHED} is {matched_ms!r}, a time in ms is needed; remove the state to start afresh"
        )
    last_id = content.get("last_fill_id")
    fills = _repaired(path.parent / FILLS_FILE, last_id if isinstance(last_id, int) else 0)
    account = load_account(content, fills, str(path))
    account.closed_orders.update(_filled_orders(fills, set(account.open_orders)))
    return account, matched_ms


def _repaired(path: Path, last_id: int) -> list[Fill]:
    """The fills that belong to the account; the file has just them afterwards. Raises DataError for a damaged line."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    *lines, torn = text.split("\n")
    try:
        fills = [load_record(Fill, json.loads(line), f"{path}, line {n}") for n, line in enumerate(lines, 1)]
    except ValueError as exc:
        raise DataError(f"{path} is damaged ({exc}); remove the state to start afresh") from exc
    kept = [fill for fill in fills if fill.id <= last_id]
    if torn or len(kept) < len(fills):
        logger.warning("sim_fills_repaired dropped=%d torn=%s", len(fills) - len(kept), bool(torn))
        write_text(path, "".join(line + "\n" for line, fill in zip(lines, fills, strict=True) if fill.id <= last_id))
    if max((fill.id for fill in kept), default=0) < last_id:
        logger.warning("sim_fills_lost path=%s known=%d last_id=%d", path, len(kept), last_id)
    return kept


def _filled_orders(fills: Iterable[Fill], open_ids: set[int]) -> Iterator[tuple[int, Order]]:
    """Orders that ended by their fills, as far as these tell; clients may still ask for them."""
    for order_id, group in groupby(sorted(fills, key=lambda fill: fill.order_id), key=lambda fill: fill.order_id):
        if order_id in open_ids or order_id == 0:
            continue
        parts = sorted(group, key=lambda fill: fill.ts)
        first, qty = parts[0], sum(fill.qty for fill in parts)
        price = sum(fill.qty * fill.price for fill in parts) / qty
        yield order_id, Order(
            order_id, first.client_id, first.symbol, first.side, first.pside, "limit" if first.maker else "market",
            price, qty, qty, price, "gtc", False, "filled", first.ts, parts[-1].ts,
        )  # fmt: skip
