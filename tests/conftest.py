"""What all tests share: the specification's data, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# No test may reach an exchange; those that use the local venue say so themselves.
os.environ["PASSIVBOT_OFFLINE"] = "1"

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with specification and golden data beside the checkout; skips without it, fails without it in CI."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "golden").is_dir():
        message = f"golden data not found: {folder} is absent"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
