"""A member as a config: what is copied, downloaded and saved."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from config.dump import dump_config, strip_metadata, without_runtime_keys
from config.normalize import RESULT_SECTIONS
from core.errors import UsageError
from optimization.members import Member


def complete_config(member: Member) -> dict[str, Any]:
    """The config that was run, without its results: the backtester and the bot take it as it is."""
    config = {key: value for key, value in member.entry.items() if key not in RESULT_SECTIONS}
    return without_runtime_keys(strip_metadata(config))


def bot_config(member: Member) -> dict[str, Any]:
    """`{"bot": ...}`."""
    return {"bot": strip_metadata(member.entry["bot"])}


def short_name(member: Member) -> str:
    """The name that downloads have."""
    return f"config_{member.id[:16]}.json"


def target_path(folder: Path, name: str) -> Path:
    """Where a config of that name goes. Raises UsageError for names that lead out of `folder`, or are taken."""
    wanted = name.strip()
    if not wanted or PurePosixPath(wanted).name in ("", ".", ".."):
        raise UsageError(f"{name!r} is no file name: write one like best.json")
    root = folder.resolve()
    path = (root / wanted).resolve()
    if path.suffix != ".json":
        path = path.with_name(f"{path.name}.json")
    if not path.is_relative_to(root):
        raise UsageError(f"{name!r} leads out of {folder}: configs are saved below it")
    if path.exists():
        raise UsageError(f"{path.relative_to(root)} exists in {folder}: choose another name")
    return path


def save_config(member: Member, folder: Path, name: str) -> Path:
    """Write the complete config below `folder`; returns its path. Raises UsageError, RunError."""
    path = target_path(folder, name)
    dump_config(complete_config(member), path)
    return path
