"""Seeded streams (`optimizer_pareto_tools.md` 13.2)."""

from __future__ import annotations

import json
import random

import msgpack
import pytest

from core.errors import DataError
from core.rng import Streams, draw_seed, new_token, variation

SEEDS = [0, 7, 2**64 - 1, 2**200]


def draws(streams: Streams) -> list[float]:
    """A few numbers of each stream, of kinds that keep something back in the generator (gauss, 32-bit integers)."""
    return [
        *streams.population.random(3),
        int(streams.population.integers(0, 9, dtype="uint32")),
        *streams.duplicates.normal(size=3),
        variation.random(),
        variation.gauss(0, 1),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_same_seed_same_draws(seed: int) -> None:
    """Equal seeds give equal numbers in all three streams, other seeds others; the streams differ from each other."""
    first, again, other = draws(Streams.of(seed)), draws(Streams.of(seed)), draws(Streams.of(seed + 1))
    assert first == again
    assert not set(first) & set(other) - set(range(9))
    streams = Streams.of(seed)
    assert len({streams.population.random(), streams.duplicates.random(), variation.random()}) == 3


def test_streams_are_independent() -> None:
    """Drawing from one stream does not move the others."""
    streams = Streams.of(1)
    expected = [streams.duplicates.random(), variation.random()]
    streams = Streams.of(1)
    streams.population.random(100)
    assert [streams.duplicates.random(), variation.random()] == expected


def test_variation_is_the_global_generator() -> None:
    """What libraries draw from the module `random` comes from the seed."""
    Streams.of(5)
    expected = random.random()
    Streams.of(5)
    assert variation.random() == expected


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize("seed", SEEDS)
def test_states_round_trip(codec: str, seed: int) -> None:
    """A stored state goes on with the very numbers that would have followed, also in streams of another seed."""
    streams = Streams.of(seed)
    draws(streams)
    stored = streams.states()
    expected = draws(streams)
    kept = json.loads(json.dumps(stored)) if codec == "json" else msgpack.unpackb(msgpack.packb(stored))
    other = Streams.of(seed + 1)
    other.restore(kept)
    assert draws(other) == expected


@pytest.mark.parametrize(
    "damage", [{"variation": "[3, [1, 2], null]"}, {"population": "{"}, {"duplicates": '{"bit_generator": "MT19937"}'}]
)
def test_damaged_states(damage: dict[str, str]) -> None:
    """A state that does not fit is an error, and so is a missing one."""
    streams = Streams.of(1)
    with pytest.raises(DataError, match="random states cannot be restored"):
        streams.restore({**streams.states(), **damage})
    with pytest.raises(DataError, match="random states cannot be restored"):
        streams.restore({})


def test_drawn_seeds() -> None:
    """Seeds of the system have 64 bits and do not repeat."""
    seeds = {draw_seed() for _ in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert max(seeds) > 2**56


def test_tokens() -> None:
    """Secrets are long and do not depend on the seed."""
    Streams.of(1)
    tokens = {new_token()}
    Streams.of(1)
    tokens.add(new_token())
    assert len(tokens) == 2
    assert all(len(bytes.fromhex(token)) == 32 for token in tokens)
