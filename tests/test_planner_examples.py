"""The worked examples and error texts of `orchestrator.md` 20."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import passivbot_rust as pbr
import pytest

VECTORS = json.loads((Path(__file__).parent / "vectors" / "planner_examples.json").read_text())
TRAILING = {
    "min_since_open": 1.7976931348623157e308,
    "max_since_min": 0.0,
    "max_since_open": 0.0,
    "min_since_max": 1.7976931348623157e308,
}
SHORTHAND = {"GL": "global.global_bot_params.long", "GS": "global.global_bot_params.short"}


def base(n_coins: int) -> dict[str, Any]:
    """The base request of the specification with `n_coins` equal coins."""
    off = VECTORS["params"] | {"n_positions": 0, "total_wallet_exposure_limit": 0.0}
    marks = {"@P": VECTORS["params"], "@Q": off, "@T": TRAILING}

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        return copy.deepcopy(marks[node]) if isinstance(node, str) and node in marks else node

    request: dict[str, Any] = fill(VECTORS["base"])
    request["symbols"] = [copy.deepcopy(request["symbols"][0]) | {"symbol_idx": i} for i in range(n_coins)]
    return request


def change(request: dict[str, Any], path: str, value: Any) -> None:
    """Replace one member; `s*` is every coin."""
    head, _, rest = path.partition(".")
    path = f"{SHORTHAND.get(head, head)}.{rest}".replace(".bp.", ".bot_params.")
    head, _, rest = path.partition(".")
    if head == "s*":
        for i in range(len(request["symbols"])):
            change(request, f"s{i}.{rest}", value)
        return
    node: Any = request["symbols"][int(head[1:])] if head[0] == "s" and head[1:].isdigit() else request[head]
    *parents, last = rest.split(".")
    for key in parents:
        node = node[key]
    node[last] = value


def plan(request: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = json.loads(pbr.calc_ideal_orders_orchestrator(json.dumps(request)))
    return response


@pytest.mark.parametrize("example", VECTORS["examples"], ids=lambda e: e["name"])
def test_worked_example(example: dict[str, Any]) -> None:
    """Each example of the specification gives exactly its orders and warnings."""
    request = base(example["coins"])
    for path, value in example["changes"]:
        change(request, path, value)
    assert plan(request) == example["response"]


def test_optional_members_have_defaults() -> None:
    """`peek_hints`, `next_candle`, `mode` and `hedge_mode` may be left out."""
    request = base(1)
    want = plan(request)
    del request["peek_hints"], request["global"]["hedge_mode"]
    symbol = request["symbols"][0]
    del symbol["next_candle"], symbol["long"]["mode"], symbol["short"]["mode"]
    assert plan(request) == want
    assert plan(base(0)) == {"orders": [], "diagnostics": {"warnings": []}}


def test_per_coin_sorting_keeps_the_orders() -> None:
    """`sort_global` false gives long entries, then short closes, then short entries (X3)."""
    example = next(e for e in VECTORS["examples"] if e["name"].startswith("X3 "))
    request = base(1)
    for path, value in [*example["changes"], ["global.sort_global", False]]:
        change(request, path, value)
    got = [(o["pside"], o["order_type"].split("_")[0]) for o in plan(request)["orders"]]
    assert got == [("long", "entry")] * 3 + [("short", "close")] * 2 + [("short", "entry")]


@pytest.mark.parametrize("mode", ["graceful_stop", "manual", "tp_only", "panic"])
def test_flat_side_that_may_not_open_needs_no_emas(mode: str) -> None:
    """EMAs are only asked for where orders depend on them."""
    request = base(1)
    change(request, "s0.emas.m1.close", [])
    change(request, "s0.long.mode", mode)
    assert plan(request)["orders"] == []


PARSE = "failed to parse OrchestratorInput JSON: "
PLAN = "orchestrator compute_ideal_orders failed: "


def _drop(path: str) -> Any:
    def edit(request: dict[str, Any]) -> None:
        node: Any = request
        *parents, last = path.split(".")
        for key in parents:
            node = node[key]
        del node[last]

    return edit


def _set(path: str, value: Any) -> Any:
    return lambda request: change(request, path, value) if "." in path else request.__setitem__(path, value)


@pytest.mark.parametrize(
    ("edits", "prefix", "text"),
    [
        ([_drop("balance")], PARSE, "missing field `balance`"),
        ([_drop("global.sort_global")], PARSE, "missing field `sort_global`"),
        ([_set("s0.foo", 1)], PARSE, "unknown field `foo`, expected"),
        ([_set("s0.long.position.foo", 1)], PARSE, "unknown field `foo`, expected `size` or `price`"),
        ([_set("balance", float("nan"))], PARSE, "expected value"),
        ([_set("balance", "1")], PARSE, 'invalid type: string "1", expected f64'),
        ([_set("global.hedge_mode", None)], PARSE, "invalid type: null, expected a boolean"),
        ([_set("s0.long.mode", "gs")], PARSE, "unknown variant `gs`, expected"),
        ([_set("GL.n_positions", 1.0)], PARSE, "invalid type: floating point `1.0`, expected usize"),
        ([_set("GL.n_positions", -1)], PARSE, "invalid value: integer `-1`, expected usize"),
        ([_set("s0.symbol_idx", 1)], PLAN, "NonContiguousSymbolIdx { pos: 0, symbol_idx: 1 }"),
        ([_set("s0.order_book.bid", 0)], PLAN, "InvalidOrderBook { symbol_idx: 0 }"),
        ([_set("s0.symbol_idx", 1), _set("s0.order_book.bid", 0)], PLAN, "InvalidOrderBook { symbol_idx: 1 }"),
        ([_set("s0.emas.m1.close", [[10, 100]])], PLAN, "MissingEma { symbol_idx: 0 }"),
        (
            [_set("s0.emas.m1.close", [[10, -1], [20, -1], [40, -1]])],
            PLAN,
            'NonFiniteInput { field: "ema_bands", symbol_idx: Some(0) }',
        ),
        ([_set("s0.long.bp.entry_volatility_ema_span_hours", 5)], PLAN, "MissingEma { symbol_idx: 0 }"),
        (
            [_set("s0.long.bp.entry_volatility_ema_span_hours", 5), _set("s0.emas.h1.log_range", [[5, -0.1]])],
            PLAN,
            'NonFiniteInput { field: "entry_volatility_logrange_ema_1h", symbol_idx: Some(0) }',
        ),
        ([_set("s0.exchange.qty_step", 0)], PLAN, 'InvalidMarket { field: "qty_step", symbol_idx: 0 }'),
    ],
)
def test_refusals_name_the_member(edits: list[Any], prefix: str, text: str) -> None:
    """Every refusal is a ValueError with the prefix and text of the specification."""
    request = base(1)
    for edit in edits:
        edit(request)
    with pytest.raises(ValueError, match="^" + prefix) as caught:
        plan(request)
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"balance": 1e999}', "nonsense"])
def test_malformed_text_is_a_parse_error(text: str) -> None:
    """Anything that is not the request is refused with the parse prefix."""
    with pytest.raises(ValueError, match="^" + PARSE):
        pbr.calc_ideal_orders_orchestrator(text)


def test_errors_carry_their_place() -> None:
    """A refused request says which coin and field as attributes."""
    request = base(2)
    change(request, "s1.order_book.ask", -1)
    with pytest.raises(pbr.EngineError) as caught:
        plan(request)
    assert (caught.value.field, caught.value.symbol_idx, caught.value.row) == ("order_book", 1, None)
    with pytest.raises(TypeError):
        pbr.calc_ideal_orders_orchestrator(b"{}")  # type: ignore[arg-type]
