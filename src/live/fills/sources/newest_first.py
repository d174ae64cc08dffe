"""Trades of exchanges that hand out the newest page first, all at once as `GenericFills` wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from live.fills.sources.translation import Item, Pages, Reply

PAGE = 100
MOST_PAGES = 1000

NextPage = Callable[[Sequence[Reply], int], Item | None]
"""From a page that is not empty and its number (the first is 1): the parameters of the next; None after the last."""


class Client(Protocol):
    """ccxt's method as used."""

    async def fetch_my_trades(self, symbol: str | None, since: int, limit: int, params: Item) -> list[Reply]: ...


class NewestFirst:
    """A client that goes back page by page, until one brings nothing new."""

    def __init__(self, client: Client, next_page: NextPage) -> None:
        self._client, self._next_page = client, next_page

    async def fetch_my_trades(self, symbol: str | None, since: int, limit: int) -> list[Reply]:
        """Every trade since then; `limit` does not count."""
        found: dict[tuple[str, str], Reply] = {}
        pages = Pages(f"trades {symbol or ''}", MOST_PAGES)
        params: Item | None = {}
        number = 1
        while params is not None and pages.next(number):
            page = await self._client.fetch_my_trades(symbol, since, PAGE, params)
            before = len(found)
            found |= {(str(trade["symbol"]), str(trade["id"])): trade for trade in page}
            params = self._next_page(page, number) if len(found) > before else None
            number += 1
        return list(found.values())


def by_cursor(page: Sequence[Reply], number: int) -> Item | None:
    """Paradex: ccxt puts the cursor of the next page into the rows of this one."""
    cursor = page[0]["info"].get("next")
    return {"cursor": cursor} if cursor else None


def by_number(page: Sequence[Reply], number: int) -> Item | None:
    """Defx: what is older than asked for ccxt leaves out, so that the last page is not full, or empty."""
    return {"page": number + 1} if len(page) >= PAGE else None
