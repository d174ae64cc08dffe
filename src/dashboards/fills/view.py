"""What the page shows: the fills of the chosen accounts, days, coins and side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.clock import DAY_MS
from core.dates import date_to_ts, ts_to_date
from core.terms import PSIDES
from dashboards.fills.accounts import AccountFills, Accounts
from live.fills.queries import Total, Wanted, total
from live.fills.record import FillEvent
from live.fills.show import coin_of
from live.orders.order_ids import UNKNOWN

MOST_ROWS = 1000
COLUMNS = {
    "time": "text", "account": "text", "coin": "text", "side": "text", "order type": "text", "qty": "numeric",
    "price": "numeric", "pnl": "numeric", "fees": "text", "position": "numeric", "position price": "numeric",
    "client id": "text", "trade id": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """What the controls say; days are `YYYY-MM-DD`, both inclusive, None is no bound. No coins are all."""

    accounts: Sequence[str]
    first_day: str | None = None
    last_day: str | None = None
    coins: Sequence[str] = ()
    pside: str = "both"


@dataclass(frozen=True, slots=True)
class Shown:
    """The fills that are shown, by account, ascending in time."""

    by_account: Mapping[str, Sequence[FillEvent]]

    @property
    def events(self) -> list[FillEvent]:
        return sorted((e for events in self.by_account.values() for e in events), key=lambda event: event.timestamp)


def shown(accounts: Accounts, choice: Choice) -> Shown:
    """Raises UsageError for an account that is not there, ConfigError for a day that is none."""
    return Shown({name: _chosen(accounts.get(name), choice) for name in choice.accounts})


def _chosen(account: AccountFills, choice: Choice) -> list[FillEvent]:
    pside = next((pside for pside in PSIDES if pside == choice.pside), None)
    start = date_to_ts(choice.first_day) if choice.first_day else None
    end = date_to_ts(choice.last_day) + DAY_MS - 1 if choice.last_day else None
    symbols = {e.symbol for e in account.events if coin_of(e.symbol) in choice.coins} if choice.coins else set()
    if choice.coins and not symbols:
        return []
    wanted = Wanted(start, end, symbols, pside)
    return [event for event in account.events if event in wanted]


def coins_of(accounts: Accounts, names: Sequence[str]) -> list[str]:
    """The coins of some accounts; symbols of several quote currencies are one coin."""
    return sorted({coin_of(event.symbol) for name in names for event in accounts.get(name).events})


def tiles(view: Shown) -> dict[str, str]:
    """The sums over all that is shown."""
    whole = total("all", view.events)
    closes = [event for event in view.events if event.closes]
    won = sum(event.pnl > 0.0 for event in closes)
    return {
        "fills": f"{whole.fills:,}",
        "pnl": f"{whole.pnl:+,.2f}",
        "closes with profit": f"{won / len(closes):.0%} of {len(closes):,}" if closes else "–",
        "coins": str(len({event.symbol for event in view.events})),
        "fees": fees_text(whole) or "–",
    }


def fees_text(group: Total) -> str:
    return ", ".join(f"{cost:,.4g} {currency}" for currency, cost in sorted(group.fees.items()))


def fill_rows(view: Shown) -> list[dict[str, Any]]:
    """The newest fills for the table, the newest first."""
    rows = [(event, name) for name, events in view.by_account.items() for event in events]
    rows.sort(key=lambda row: row[0].timestamp, reverse=True)
    return [_row(event, name) for event, name in rows[:MOST_ROWS]]


def _row(event: FillEvent, account: str) -> dict[str, Any]:
    values = (
        event.datetime[:19].replace("T", " "), account, coin_of(event.symbol), f"{event.side} {event.position_side}",
        event.pb_order_type or UNKNOWN, *map(_short, (event.qty, event.price, event.pnl)),
        fees_text(total("", [event])), _short(event.psize), _short(event.pprice), event.client_order_id, event.id,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _short(number: float) -> float:
    return float(f"{number:.8g}")


def health_rows(accounts: Accounts, names: Sequence[str]) -> list[list[str]]:
    """For each account: fills, the first and last one, what is covered, gaps that are asked for again and settled."""
    rows = []
    for name in names:
        account = accounts.get(name)
        ends = [event.datetime[:16].replace("T", " ") for event in (account.events[:1] + account.events[-1:])]
        known = account.metadata
        covered = f"{_day(known.covered_from_ms)} to {_day(known.covered_to_ms)}" if known.covered_from_ms else "–"
        settled = sum(gap.settled for gap in known.known_gaps)
        state = "complete" if account.complete else "files are damaged or missing"
        gaps = f"{len(known.known_gaps) - settled} / {settled}"
        rows.append([name, f"{len(account.events):,}", *(ends or ["–", "–"]), covered, gaps, state])
    return rows


def _day(ms: int | None) -> str:
    return ts_to_date(ms)[:10] if ms else "–"
