"""When resting orders fill, and in what order (`exchange_simulator.md` 6.3; `backtest_engine.md` 6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from passivbot_rust import calc_new_psize_pprice, calc_pnl_long, calc_pnl_short, qty_to_cost, round_

from core.errors import ConfigError
from exchange_sim.trading.engine import Engine, Options
from exchange_sim.trading.matching import Candle, FillModel, fillable, taker_price
from exchange_sim.trading.records import BYBIT, Order, Position
from markets import sample
from markets.market import Market, market_of
from sim_engine_cases import KEY, T0, A, B, candle, listen, order, place, sizes, venue

STRICT, TOUCH, PESSIMISTIC = FillModel("strict"), FillModel("touch"), FillModel("pessimistic")


@pytest.mark.parametrize("by_candle", [True, False], ids=["candle", "price"])
@pytest.mark.parametrize(
    ("model", "fills", "rests"),
    [
        (STRICT, 98.99, 99.0),
        (TOUCH, 99.0, 99.01),
        (PESSIMISTIC, 98.99, 98.995),
        (FillModel("probabilistic"), 98.99, 99.0),
    ],
    ids=lambda value: value.name if isinstance(value, FillModel) else str(value),
)
def test_fill_models(model: FillModel, fills: float, rests: float, by_candle: bool) -> None:
    """How far beyond its price a buy must be passed, and a sell likewise; it fills in full at its price, as maker."""
    for low, filled in ((fills, True), (rests, False)):
        engine = venue(fill_model=model)
        place(engine, "buy long 1 @ 99")
        place(engine, "sell short 1 @ 101")
        for price in (low, 200.0 - low):
            if by_candle:
                engine.on_candle(A, candle(min(price, 100.0), max(price, 100.0)))
            else:
                engine.on_price(A, price, T0)
        expected = [(99.0, 1.0, True), (101.0, 1.0, True)] if filled and (by_candle or not model.needs_candles) else []
        assert [(fill.price, fill.qty, fill.maker) for fill in engine.fills(KEY)] == expected


def test_a_candle_that_opens_beyond_the_price() -> None:
    """The order's own price counts, not the better one; the fill carries the candle's open time or the one given."""
    engine = venue()
    place(engine, "buy long 1 @ 99")
    place(engine, "buy long 1 @ 98")
    engine.on_candle(A, candle(98.0, 98.5, ts=T0))
    engine.on_candle(A, candle(90.0, 91.0, ts=T0 + 60_000), T0 + 120_000)
    assert [(fill.price, fill.ts - T0) for fill in engine.fills(KEY)] == [(99.0, 0), (98.0, 120_000)]
    assert engine.quotes.last[A] == 91.0


def test_order_of_fills_in_a_minute() -> None:
    """Long before short, symbols sorted, closes before entries, nearest to the previous close first, then the older."""
    engine = venue(starting_balance=1e6)
    for symbol in (A, B):
        place(engine, "buy long 5", symbol)
        place(engine, "sell short 5", symbol)
    taken = len(engine.fills(KEY))
    words = [
        (B, "buy short 1 @ 99"), (A, "sell short 1 @ 101"), (A, "buy long 1 @ 98"), (A, "buy long 1 @ 99"),
        (B, "sell long 1 @ 102"), (A, "buy long 2 @ 99"), (A, "sell long 1 @ 103"), (A, "sell long 1 @ 102"),
        (A, "buy short 1 @ 97"), (B, "buy long 1 @ 99"),
    ]  # fmt: skip
    for symbol, word in words:
        place(engine, word, symbol)
    engine.on_minute({B: candle(90.0, 110.0), A: candle(90.0, 110.0)})
    booked = [(f.symbol, f"{f.side} {f.pside} {f.qty:g} @ {f.price:g}") for f in engine.fills(KEY)[taken:]]
    assert booked == [
        (A, "sell long 1 @ 102"), (A, "sell long 1 @ 103"), (A, "buy long 1 @ 99"), (A, "buy long 2 @ 99"),
        (A, "buy long 1 @ 98"), (B, "sell long 1 @ 102"), (B, "buy long 1 @ 99"),
        (A, "buy short 1 @ 97"), (A, "sell short 1 @ 101"), (B, "buy short 1 @ 99"),
    ]  # fmt: skip


def test_order_of_fills_in_one_way_mode() -> None:
    """A side's closes come before its entries there as well; an order belongs to the side it works for."""
    engine = venue(hedge=False)
    place(engine, "buy both 5")
    place(engine, "buy both 1 @ 99")
    place(engine, "sell both 1 @ 101")  # without the flag an entry of the short side
    place(engine, "sell both 1 @ 103", reduce_only=True)
    engine.on_candle(A, candle(90.0, 110.0))
    assert [fill.price for fill in engine.fills(KEY)][1:] == [103.0, 99.0, 101.0]


def test_closes_are_cut_to_what_is_left() -> None:
    """A close larger than the position is reduced to it; further closes of it expire, and an entry opens anew."""
    engine = venue(BYBIT)
    place(engine, "buy long 2")
    first, second, third = (
        place(engine, f"sell long {qty} @ {price}") for qty, price in ((1, 101), (0.6, 102), (0.4, 103))
    )
    engine.account(KEY).put_position(Position(A, "long", 1.5, 100.02))
    entry = place(engine, "buy long 1 @ 99")
    engine.on_candle(A, candle(98.0, 110.0))
    ended = [engine.account(KEY).closed_orders[o.id] for o in (first, second, third, entry)]
    assert [(o.status, o.qty, o.filled) for o in ended] == [
        ("filled", 1.0, 1.0), ("filled", 0.5, 0.5), ("expired", 0.4, 0.0), ("filled", 1.0, 1.0),
    ]  # fmt: skip
    assert sizes(engine) == {("A", "long"): (1.0, 99.0)}
    assert engine.open_orders(KEY) == []


def test_a_close_keeps_its_size_when_the_position_grows() -> None:
    """An entry that fills changes no close."""
    engine = venue()
    place(engine, "buy long 1")
    close = place(engine, "sell long 1 @ 110")
    place(engine, "buy long 3 @ 99")
    engine.on_candle(A, candle(98.0, 105.0))
    assert engine.open_orders(KEY) == [close]


def test_probabilistic_fills() -> None:
    """About the share asked for, decided anew each candle, the same with the same seed and different with another."""

    def filled(seed: int) -> list[int]:
        engine = venue(starting_balance=1e9, fill_model=FillModel("probabilistic", probability=0.3, seed=seed))
        for _ in range(150):
            place(engine, "buy long 1 @ 99")
        engine.on_candle(A, candle(98.0, 100.0))
        first = [fill.order_id for fill in engine.fills(KEY)]
        for minute in range(1, 40):
            engine.on_candle(A, candle(98.0, 100.0, ts=T0 + 60_000 * minute))
        assert len(engine.fills(KEY)) == 150
        return first

    once = filled(1)
    assert 25 <= len(once) <= 65
    assert filled(1) == once != filled(2)


def test_partial_fills() -> None:
    """A tenth of the candle's volume at most, shared by the orders of a symbol in whole steps; the rest stays."""
    engine = venue(fill_model=FillModel("partial"))
    near, far = place(engine, "buy long 1 @ 99.5"), place(engine, "buy long 2 @ 99")
    events = listen(engine)
    engine.on_price(A, 90.0, T0)  # a price has no volume
    engine.on_price(A, 100.0, T0)
    engine.on_candle(A, candle(98.0, 100.0, volume=12.7))
    engine.on_candle(A, candle(98.0, 100.0, ts=T0 + 60_000, volume=0.9))
    engine.on_candle(A, candle(98.0, 100.0, ts=T0 + 120_000, volume=3.0))
    assert [(fill.order_id, fill.qty) for fill in engine.fills(KEY)] == [(near.id, 1.0), (far.id, 0.2), (far.id, 0.3)]
    (rest,) = engine.open_orders(KEY)
    assert (rest.status, rest.filled, rest.qty, rest.avg, rest.updated) == (
        "partially_filled",
        0.5,
        2.0,
        99.0,
        T0 + 120_000,
    )
    engine.on_candle(A, candle(98.0, 100.0, volume=1e6))
    assert [e.order.status for e in events if e.kind == "fill" and e.order] == [
        "filled",
        *["partially_filled"] * 2,
        "filled",
    ]


def test_steps_and_ticks_allow_for_binary_fractions() -> None:
    """0.3 of volume is three steps of 0.1, and 0.07 is on the tick 0.01, although their quotients are not whole."""
    assert fillable(1.0, 0.3, 0.1) == 0.3
    assert [taker_price(side, 0.07, 0.0, 0.01, None) for side in ("buy", "sell")] == [0.07, 0.07]
    assert taker_price("sell", 0.01, 0.9, 0.01, None) == 0.01  # a price stays above 0


@pytest.mark.parametrize(("name", "value"), [("name", "loose"), ("probability", 1.1), ("participation", -0.1)])
def test_fill_models_that_make_no_sense(name: str, value: object) -> None:
    """An unknown name or a share outside 0..1 is refused."""
    with pytest.raises(ConfigError):
        FillModel(**{name: value})  # type: ignore[arg-type]


MINUTES = 1440


def _grid(engine: Engine, symbol: str, last: float, step: Market) -> Iterator[str]:
    """What a simple grid bot has resting: three entries around the price, closes 0.2 % from each position."""
    qty = round_(400.0 / last, step.qty_step)
    for pside, sign, into, out in (("long", -1, "buy", "sell"), ("short", 1, "sell", "buy")):
        for n in (1, 2, 3):
            yield f"{into} {pside} {qty} @ {round_(last * (1.0 + sign * 0.0004 * n), step.price_step)}"
        held = engine.account(KEY).position(symbol, "long" if pside == "long" else "short")
        if held.size:
            price = round_(held.entry * (1.0 - sign * 0.002), step.price_step)
            beyond = price <= last if out == "sell" else price >= last
            yield f"{out} {pside} {held.size} @ {round_(last, step.price_step) if beyond else price}"


def _plain_loop(
    candle_: Candle, before: float, orders: list[Order], books: dict[str, tuple[float, float]], wallet: float, m: Market
) -> tuple[float, list[tuple[float, float, float]]]:
    """6.3 and 6.4 as the backtester books them, for one symbol and minute; `books` is changed."""
    fills = []
    for pside, sign, pnl_of in (("long", 1.0, calc_pnl_long), ("short", -1.0, calc_pnl_short)):
        mine = [o for o in orders if o.pside == pside]
        mine = [o for o in mine if (candle_.low < o.price if o.side == "buy" else candle_.high > o.price)]
        for o in sorted((o for o in mine if o.reduces), key=lambda o: (abs(o.price - before), o.id)):
            size, price = books[pside]
            if size == 0.0:
                continue
            q = -sign * o.qty
            n = round_(size + q, m.qty_step)
            if n * sign < 0.0:
                n, q = 0.0, -size
            pnl = pnl_of(price, o.price, q, m.c_mult)
            wallet += -(qty_to_cost(q, o.price, m.c_mult) * m.maker_fee)
            wallet += pnl
            books[pside] = (n, price) if n else (0.0, 0.0)
            fills.append((o.price, abs(q), pnl))
        for o in sorted((o for o in mine if not o.reduces), key=lambda o: (abs(o.price - before), o.id)):
            wallet += -(qty_to_cost(o.qty, o.price, m.c_mult) * m.maker_fee)
            books[pside] = calc_new_psize_pprice(*books[pside], sign * o.qty, o.price, m.qty_step)
            fills.append((o.price, o.qty, 0.0))
    return wallet, fills


def test_sample_market_candles_as_a_plain_loop() -> None:
    """A day of a grid on sample candles: wallet, positions and fills have the bits of a plain loop over 6.3 and 6.4."""
    row = sample.INSTRUMENTS["SOL"]
    m = market_of(sample.ccxt_markets()[row.symbol], "sample")
    rows = sample.candles(row.symbol, start := 1_748_736_000_000, start + MINUTES * 60_000)
    engine = Engine({m.symbol: m}, BYBIT, Options(starting_balance=100_000.0))
    engine.account(KEY).hedge = True
    engine.quotes.last[m.symbol] = last = float(rows["c"][0])
    wallet, books, fills = 100_000.0, {"long": (0.0, 0.0), "short": (0.0, 0.0)}, []
    for n in range(1, MINUTES):
        now = int(rows["ts"][n])
        for old in engine.open_orders(KEY):
            engine.cancel(KEY, now, order_id=old.id)
        for words in _grid(engine, m.symbol, last, m):
            engine.submit(KEY, order(words, m.symbol, tif="post_only"), now)
        minute = Candle(now, *(float(rows[name][n]) for name in ("o", "h", "l", "c", "bv")))
        wallet, booked = _plain_loop(minute, last, engine.open_orders(KEY), books, wallet, m)
        fills += booked
        engine.on_candle(m.symbol, minute)
        last = minute.close
    assert [(fill.price, fill.qty, fill.realized) for fill in engine.fills(KEY)] == fills
    assert engine.balance(KEY) == wallet
    held = {p.pside: (p.signed, p.entry) for p in engine.positions(KEY)}
    assert held == {pside: book for pside, book in books.items() if book[0]}
    assert len(fills) > 500
    assert sum(fill.closed_qty > 0.0 for fill in engine.fills(KEY)) > 50
