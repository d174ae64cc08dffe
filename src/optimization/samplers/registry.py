"""Which search method a config asks for (`optimizer_pareto_tools.md` 13.7). Libraries are imported when needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from config.access import optional_config_value
from config.changes import Config
from core.errors import ConfigError, ToolMissingError
from optimization.samplers.protocol import Sampler
from optimization.space import SearchSpace

logger = logging.getLogger(__name__)

Factory: TypeAlias = Callable[[str, SearchSpace, Config], Sampler]

MANY_OBJECTIVES = 3
TPE_BUDGET = 2000
_CHOOSE_THEIR_SIZE = ("pymoo_nsga3", "pymoo_unsga3", "pymoo_rvea")


def make_sampler(space: SearchSpace, config: Config) -> Sampler:
    """The sampler that `config["optimize"]` describes, without a population yet.

    Raises ConfigError for an unknown name, or options that do not fit the method; ToolMissingError when its library
    is not installed.
    """
    name = optional_config_value(config, "optimize.sampler")
    if name not in FACTORIES:
        raise ConfigError(f"optimize.sampler {name!r} is not available; use one of {', '.join(FACTORIES)}")
    if config["optimize"]["population_size"] is None and name not in _CHOOSE_THEIR_SIZE:
        raise ConfigError(f"optimize.population_size is null: {name} needs a number")
    if name != "deap_nsga2" and all(gene.is_fixed for gene in space.genes):
        raise ConfigError(f"optimize.bounds leave {name} nothing to search: in every one low equals high")
    try:
        return FACTORIES[name](name, space, config)
    except ModuleNotFoundError as exc:
        library = str(exc.name).partition(".")[0]
        raise ToolMissingError(
            f"optimize.sampler {name} needs {library}: pip install -r requirements-samplers.txt"
        ) from exc


def _deap(name: str, space: SearchSpace, config: Config) -> Sampler:
    from optimization.samplers.deap_nsga2 import deap_sampler

    objectives = len(config["optimize"]["scoring"])
    if objectives > MANY_OBJECTIVES:
        logger.info("%d objectives: optimize.sampler pymoo_nsga3 is made for more than three", objectives)
    return deap_sampler(space, config)


def _pymoo(name: str, space: SearchSpace, config: Config) -> Sampler:
    from optimization.samplers.pymoo_genetic import pymoo_sampler

    return pymoo_sampler(name, space, config)


def _optuna(name: str, space: SearchSpace, config: Config) -> Sampler:
    from optimization.samplers.optuna_tpe import OptunaTpe

    optimize = config["optimize"]
    if optimize["iters"] > TPE_BUDGET:
        logger.warning(
            "optimize.iters is %d: a proposal of %s takes longer with every candidate; above %d use another sampler",
            optimize["iters"], name, TPE_BUDGET,
        )  # fmt: skip
    return OptunaTpe(space, optimize["population_size"])


FACTORIES: dict[str, Factory] = {
    "deap_nsga2": _deap,
    "pymoo_nsga2": _pymoo,
    "pymoo_nsga3": _pymoo,
    "pymoo_unsga3": _pymoo,
    "pymoo_rvea": _pymoo,
    "pymoo_sms": _pymoo,
    "optuna_tpe": _optuna,
}
