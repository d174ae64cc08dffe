"""One program after the other, where several want the same answer: the first asks, the others find it on disk."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from filelock import AsyncFileLock, Timeout

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0


@asynccontextmanager
async def taking_turns(path: Path) -> AsyncIterator[None]:
    """Hold the turn for what is kept at `path`; look there again once inside. Who waited for a minute goes on without.

    What is written inside needs no protection by it: this saves requests, no more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(AsyncFileLock(path.with_name(f".{path.name}.turn"), timeout=PATIENCE_S))
        except Timeout:
            logger.warning("%s: another program has been asking for it for %g s, asking too", path, PATIENCE_S)
        yield
