"""Assignment of modes: the scenarios of `live.md` 7.3 and `orchestrator.md` 17.1."""

from __future__ import annotations

from typing import Any

import pytest

from config.modes import ForcedModes
from live.choice.eligibility import SlotRules, ideal_coins, max_positions
from live.choice.modes import ModeRules, SideState, active_symbols, assign_modes, stop_opening
from live.records import Modes

VOLUMES = {"A": 4.0, "B": 3.0, "C": 2.0, "D": 1.0}
VOLATILITIES = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0}
OFF = SideState((), (), (), 0, "graceful_stop")


def long_only(modes: Modes) -> dict[str, str]:
    short = {f"{symbol}": mode for (symbol, pside), mode in modes.items() if pside == "short"}
    assert set(short.values()) <= {"graceful_stop", "manual", "panic"}
    return {symbol: mode for (symbol, pside), mode in modes.items() if pside == "long"}


def spread(**symbols: str) -> dict[str, str]:
    return {symbol: mode for mode, names in symbols.items() for symbol in names}


def mode_rules(**changes: Any) -> ModeRules:
    everywhere: Any = {"long": changes.pop("everywhere", None), "short": None}
    own: Any = changes.pop("own", {})
    plain: dict[str, Any] = {
        "forced": ForcedModes(everywhere, {(symbol, "long"): mode for symbol, mode in own.items()}),
        "overridden": set(own), "ineligible": {}, "exchange_can_hedge": True,
    }  # fmt: skip
    return ModeRules(**(plain | changes))


def run(
    n: int, held: str = "", orders: str = "", drop: float = 0.0, auto_gs: bool = True, **changes: Any
) -> dict[str, str]:
    """Long modes with A to D approved as far as they can be traded, short off."""
    approved = set("ABCD") - set(changes.get("ineligible", {}))
    slots = SlotRules(1.5, n, changes.get("everywhere") is not None, drop, 0.0)
    ideal = ideal_coins(approved, approved, slots, VOLUMES if drop else None, VOLATILITIES)
    stop: Any = "graceful_stop" if auto_gs else "manual"
    long = SideState(ideal, set(held), (), max_positions(slots, len(approved)), stop)
    return long_only(assign_modes({"long": long, "short": OFF}, set(orders), mode_rules(**changes)))


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ({"n": 4}, spread(normal="ABCD")),
        ({"n": 2, "drop": 0.5}, spread(normal="AB")),
        ({"n": 2}, spread(normal="CD")),
        ({"n": 2, "held": "G", "drop": 0.5}, spread(graceful_stop="G", normal="B")),
        ({"n": 2, "held": "G", "drop": 0.5, "auto_gs": False}, spread(manual="G", normal="B")),
        ({"n": 2, "held": "ABC"}, spread(graceful_stop="ABC")),
        ({"n": 2, "held": "CD"}, spread(normal="CD")),
        ({"n": 2, "held": "AD"}, spread(graceful_stop="A", normal="D")),
        ({"n": 4, "orders": "E"}, spread(normal="ABCD", graceful_stop="E")),
        ({"n": 4, "held": "A", "everywhere": "graceful_stop"}, spread(graceful_stop="A")),
        ({"n": 4, "everywhere": "panic"}, {}),
        ({"n": 1, "own": {"G": "normal"}}, spread(normal="G")),
        ({"n": 4, "own": {"A": "manual"}}, spread(manual="A", normal="BCD")),
        ({"n": 4, "held": "A", "ineligible": {"A": "not active"}}, spread(tp_only="A", normal="BCD")),
        ({"n": 4, "held": "A", "ineligible": {"A": "wrong quote"}}, spread(manual="A", normal="BC")),
        ({"n": 4, "held": "X", "ineligible": {"X": "not listed"}}, spread(manual="X", normal="ABCD")),
        ({"n": 4, "everywhere": "panic", "overridden": "D"}, spread(panic="D")),
        ({"n": 4, "everywhere": "manual", "own": {"A": None}, "held": "A"}, spread(graceful_stop="A")),
    ],
)
def test_scenarios(given: dict[str, Any], result: dict[str, str]) -> None:
    """One row a scenario; a coin that is active on one side has a mode on both."""
    assert run(**given) == result


@pytest.mark.parametrize(
    ("held", "changes", "result"),
    [
        ("", {}, spread(normal="ABC")),
        ("D", {}, spread(normal="AB", graceful_stop="D")),
        ("ABDE", {}, spread(graceful_stop="ABDE")),
        ("D", {"own": {"F": "normal"}}, spread(normal="FA", graceful_stop="D")),
        ("", {"own": {"F": "graceful_stop"}}, spread(normal="AB", graceful_stop="F")),
        ("A", {"own": {"A": "manual"}}, spread(manual="A", normal="BC")),
        ("D", {"ineligible": {"D": "not active"}}, spread(normal="ABC", tp_only="D")),
    ],
)
def test_slots_are_taken(held: str, changes: Any, result: dict[str, str]) -> None:
    """The checks with three slots, coins A to F and the ideal A, B, C."""
    long = SideState(list("ABC"), set(held), (), 3, "graceful_stop")
    assert long_only(assign_modes({"long": long, "short": OFF}, (), mode_rules(**changes))) == result


def test_no_hedging() -> None:
    """Where an exchange holds one side only, a coin held on the other side is not opened."""
    sides: Any = {
        "long": SideState(["A", "B"], {"A"}, set(), 2, "graceful_stop"),
        "short": SideState(["A", "B"], set(), {"A"}, 2, "graceful_stop"),
    }
    modes = assign_modes(sides, (), mode_rules(exchange_can_hedge=False))
    assert modes == {
        ("A", "long"): "normal", ("A", "short"): "graceful_stop", ("B", "long"): "normal", ("B", "short"): "normal",
    }  # fmt: skip
    assert assign_modes(sides, (), mode_rules())["A", "short"] == "normal"
    one: Any = {"long": SideState(list("ABC"), set(), {"A"}, 3, "graceful_stop"), "short": OFF}
    assert long_only(assign_modes(one, {"A"}, mode_rules(exchange_can_hedge=False))) == spread(
        normal="BC", graceful_stop="A"
    )


def test_stop_opening() -> None:
    """No new positions, on some symbols or all; other modes stay."""
    modes: Any = {("B", "long"): "normal", ("A", "long"): "normal", ("A", "short"): "tp_only"}
    assert active_symbols(modes) == ["A", "B"]
    assert stop_opening(modes, ["A"]) == modes | {("A", "long"): "graceful_stop"}
    assert set(stop_opening(modes).values()) == {"graceful_stop", "tp_only"}
