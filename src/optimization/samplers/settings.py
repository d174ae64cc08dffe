"""How offspring are made: the options of crossover and mutation (`optimizer_pareto_tools.md` 1.2)."""

from __future__ import annotations

from dataclasses import dataclass

from config.changes import Config
from config.check import is_number
from core.errors import ConfigError

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class VariationSettings:
    """Probabilities per offspring (`mutation_indpb`: per gene), and distribution indices of both operators."""

    crossover_probability: float
    mutation_probability: float
    crossover_eta: float
    mutation_eta: float
    mutation_indpb: float

    @classmethod
    def of(cls, config: Config, genes: int) -> VariationSettings:
        """Those of `config["optimize"]`. Raises ConfigError when the two probabilities exceed 1 together."""
        optimize = config["optimize"]
        crossover, mutation = optimize["crossover_probability"], optimize["mutation_probability"]
        if crossover + mutation > 1 + _ROUNDING:
            raise ConfigError(
                f"optimize.crossover_probability {crossover} + optimize.mutation_probability {mutation} exceed 1: "
                "an offspring is either crossed or mutated"
            )
        indpb = optimize["mutation_indpb"]
        indpb = min(float(indpb), 1.0) if is_number(indpb) and indpb > 0 else 1.0 / genes
        return cls(crossover, mutation, optimize["crossover_eta"], optimize["mutation_eta"], indpb)
