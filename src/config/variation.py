"""Crossover and mutation probabilities of a config that says nothing of them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from config.changes import RAW_KEY, Config

logger = logging.getLogger(__name__)

SHIPPED = {"crossover_probability": 0.64, "mutation_probability": 0.34}


def with_usable_probabilities(config: Config, given: Mapping[str, Any]) -> Config:
    """A copy that has the template's probabilities where neither file nor command line (`given`) names one.

    The built-in ones (`config_cli_suite.md` 7) exceed 1 together, which no search can work with.
    """
    raw = config.get(RAW_KEY, {})
    stated = [node["optimize"] for node in (raw, raw.get("config")) if isinstance(node, dict) and "optimize" in node]
    if any(name in part for name in SHIPPED for part in stated) or any(f"optimize.{name}" in given for name in SHIPPED):
        return config
    result = copy.deepcopy(config)
    result["optimize"].update(SHIPPED)
    logger.info("optimize.crossover_probability and mutation_probability are not given: %s and %s", *SHIPPED.values())
    return result
