"""docs/paper.md names commands, keys and files that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from config.cli import parse_command_line
from config.programs import MAIN
from config.schema import BY_PATH
from exchange_sim.trading.matching import FillModel

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = (REPOSITORY / "docs" / "paper.md").read_text(encoding="utf-8")
COMMANDS = sorted({match.partition("`")[0].strip() for match in re.findall(r"\./passivbot live ([^\n]*)", TEXT)})


def test_there_are_commands() -> None:
    """All kinds of prices are shown."""
    assert {word for line in COMMANDS for word in ("sample", "cache", "replay", "live") if f"data {word}" in line} == {
        "sample", "cache", "replay", "live",
    }  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str) -> None:
    """Every command line of the bot is one."""
    given = parse_command_line(MAIN, shlex.split(line))
    assert given.config_path is not None
    assert given.config_path == "my.json" or (REPOSITORY / given.config_path).exists()


def test_names() -> None:
    """Tools, pages, keys and fill models exist."""
    for tool in re.findall(r"\./passivbot tool (\w+)", TEXT):
        assert (REPOSITORY / "src" / "tools" / f"{tool}.py").exists(), tool
    for page in re.findall(r"\]\((\w+\.md)\)", TEXT):
        assert (REPOSITORY / "docs" / page).exists(), page
    for key in re.findall(r"`((?:paper|live)\.[a-z_]+)", TEXT):
        assert key.endswith(".md") or key in BY_PATH, key
    for name in re.findall(r"^\| `(\w+)`[^|]*\| (?:when|as far|as `strict`)", TEXT, re.MULTILINE):
        FillModel(name)
