"""The field's own words as types: pside (position side), side (order side), mode."""

from __future__ import annotations

from typing import Literal

Pside = Literal["long", "short"]
Side = Literal["buy", "sell"]
Mode = Literal["normal", "manual", "graceful_stop", "tp_only", "panic"]
ForeignPolicy = Literal["cancel", "leave", "stop_opening"]  # for orders that are not ours
SecondInstancePolicy = Literal["stop_opening", "ignore"]  # for orders that another process of ours sent

PSIDES: tuple[Pside, Pside] = ("long", "short")


def pside_of(side: str, *, closing: bool) -> Pside:
    """Whose order or fill it is where nobody says: a buy opens a long or closes a short."""
    return "long" if (side == "buy") != closing else "short"
