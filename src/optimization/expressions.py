"""Expressions `name op number` that choose members of a front (`optimizer_pareto_tools.md` 7, 8)."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from config.objectives import STATS, canonical_metric
from core.errors import UsageError
from optimization.members import Member

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_FORM = re.compile(r"\s*([^<>=]*[^<>=\s])\s*(<=|>=|==|<|>|=)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Expression:
    """`name op bound`."""

    name: str
    op: str
    bound: float

    def holds(self, value: float) -> bool:
        return OPERATORS[self.op](value, self.bound)


def parse_expression(text: str) -> Expression | None:
    """The expression of a text, None if it is none."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    try:
        bound = float(match[3])
    except ValueError:
        return None
    return Expression(match[1], match[2], bound) if math.isfinite(bound) else None


def limit_expression(text: str) -> Expression:
    """As `parse_expression`; raises UsageError for anything else."""
    expression = parse_expression(text)
    if expression is None:
        raise UsageError(
            f"limit {text!r} is not understood: write name[.stat]<number, with one of {' '.join(OPERATORS)}"
        )
    return expression


def member_value(member: Member, name: str) -> float | None:
    """What a name means for a member: `w_i`, `metric`, or `metric.stat`; None if the member does not have it."""
    prefix, _, index = name.rpartition("_")
    if prefix == "w" and index.isdigit():
        return member.objectives[int(index)] if int(index) < len(member.objectives) else None
    metric, dot, stat = name.rpartition(".")
    if dot and stat in STATS:
        return member.stats.get(_known(metric, member), {}).get(stat)
    return member.values.get(_known(name, member))


def _known(metric: str, member: Member) -> str:
    """The metric as written if the member has it, else its canonical name (`adg` -> `adg_usd`)."""
    return metric if metric in member.stats else canonical_metric(metric)


def keeps(expressions: Sequence[Expression], member: Member) -> bool:
    """Does every expression hold? One whose value the member does not have is passed over."""
    found = [(expression, member_value(member, expression.name)) for expression in expressions]
    return all(expression.holds(value) for expression, value in found if value is not None)
