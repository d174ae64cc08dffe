"""All randomness: streams of one seed, whose states can be stored, secrets, digests as ids."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import DataError

variation = random
"""The global generator of the process: operators of libraries and ours draw from it, nothing else in the driver."""


def draw_seed() -> int:
    """64 bits from the operating system."""
    return secrets.randbits(64)


def new_token() -> str:
    """A secret that nobody can guess, from the operating system: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def digest(*facts: str | float) -> str:
    """32 hexadecimal digits that the same facts always give; floats count by their shortest repr."""
    text = json.dumps(facts, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of a seed; the third is the global `variation`, so a process has one of these at a time."""

    seed: int
    population: np.random.Generator
    duplicates: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> Streams:
        """Fresh streams of a seed of any size (at least 0). Seeds the global `variation`."""
        population, for_variation, duplicates = np.random.SeedSequence(seed).spawn(3)
        random.seed(int.from_bytes(for_variation.generate_state(8, np.uint32).astype("<u4").tobytes(), "little"))
        return cls(seed, np.random.default_rng(population), np.random.default_rng(duplicates))

    def states(self) -> dict[str, str]:
        """The state of each stream as text, `variation` included: numbers of any size survive JSON and msgpack."""
        return {
            "population": json.dumps(self.population.bit_generator.state),
            "variation": json.dumps(random.getstate()),
            "duplicates": json.dumps(self.duplicates.bit_generator.state),
        }

    def restore(self, states: Mapping[str, str]) -> None:
        """Go on where `states` was taken. Raises DataError when it is not one of ours."""
        try:
            self.population.bit_generator.state = json.loads(states["population"])
            self.duplicates.bit_generator.state = json.loads(states["duplicates"])
            version, words, gauss_next = json.loads(states["variation"])
            random.setstate((version, tuple(words), gauss_next))
        except (KeyError, TypeError, ValueError) as exc:
            raise DataError(f"stored random states cannot be restored: {exc!r}; the checkpoint is damaged") from exc
