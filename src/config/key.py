"""One row of the schema: what a config key is, and which values it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a value is. The command line converts by it, the check after loading refuses anything else."""

    NUMBER = "number"
    NUMERIC = "number or text of a number"
    INT = "integer"
    BOOL = "true or false"
    TEXT = "text"
    DATE = "date"
    STRINGS = "list of texts"
    COINS = "coin list"
    MODE = "forced mode"
    BOUND = "bound"
    LIMITS = "list of limits"
    LIST = "list"
    DICT = "mapping"
    ANY = "value"


@dataclass(frozen=True, slots=True)
class Key:
    """`path` is dotted. `default` is the built-in one. Flags are derived from it: `config.flags`.

    nullable     null is a value of its own (its meaning stands in `doc`)
    optional     never added by completion; absent means `default`
    lenient      the reader has a rule for what it cannot parse, so loading accepts anything
    free         a dict whose keys are the user's own
    overridable  may be set per coin (`coin_overrides`)
    low, high    where the value makes sense; outside it loading warns, or refuses where `strict`
    """

    path: str
    default: Any
    kind: Kind = Kind.NUMBER
    unit: str = ""
    doc: str = ""
    nullable: bool = False
    optional: bool = False
    lenient: bool = False
    free: bool = False
    overridable: bool = False
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def section(self) -> str:
        return self.path.partition(".")[0]
