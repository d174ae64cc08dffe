"""What `config["optimize"]` says about a run, checked before any data are prepared (1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.access import optional_config_value
from config.bounds import search_bounds
from config.changes import Config
from config.holdout import Holdout, parse_holdout
from optimization.gene_overrides import rules_of
from optimization.samplers.protocol import Sampler
from optimization.samplers.registry import make_sampler
from optimization.schedule import Schedule
from optimization.scoring import Scoring
from optimization.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Plan:
    """A search before its data: space, method, schedule, scoring, and how candidates are run and recorded."""

    space: SearchSpace
    sampler: Sampler
    schedule: Schedule
    scoring: Scoring
    gene_overrides: tuple[str, ...]
    executor: str
    workers: int
    timeout_s: float | None
    split_scenarios: bool
    checkpoint_interval_s: float
    seed: int | None
    holdout: Holdout | None

    @classmethod
    def of(cls, config: Config) -> Plan:
        """Raises ConfigError naming the key; ToolMissingError when the sampler's library is not installed."""
        optimize = config["optimize"]
        names = tuple(optimize["enable_overrides"])
        rules_of(names)
        space = SearchSpace.of(search_bounds(config), int(optimize["round_to_n_significant_digits"]))
        scoring = Scoring.of(config, suite=bool(config["backtest"]["suite"]["enabled"]))
        sampler = make_sampler(space, config)
        return cls(
            space=space,
            sampler=sampler,
            schedule=Schedule.of(optimize, sampler.population_size),
            scoring=scoring,
            gene_overrides=names,
            executor=str(_optional(config, "executor")),
            workers=int(optimize["n_cpus"]),
            timeout_s=_seconds(_optional(config, "eval_timeout_s")),
            split_scenarios=bool(_optional(config, "split_scenarios")),
            checkpoint_interval_s=float(_optional(config, "checkpoint_interval_s")),
            seed=optimize.get("seed"),
            holdout=parse_holdout(optimize.get("holdout")),
        )

    def expected(self, seeds: int, optimize: Mapping[str, Any]) -> int:
        """About how many evaluations there will be: offspring that enter unchanged are none."""
        shares = float(optimize["crossover_probability"]) + float(optimize["mutation_probability"])
        share = min(1.0, shares) if optimize.get("sampler", "deap_nsga2") == "deap_nsga2" else 1.0
        offspring = self.schedule.chunks * self.schedule.chunk_size
        return seeds + self.sampler.population_size + round(offspring * share)


def _optional(config: Config, name: str) -> Any:
    return optional_config_value(config, f"optimize.{name}")


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)
