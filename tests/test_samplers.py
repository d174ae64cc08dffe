"""All samplers behind one protocol: they search, repeat themselves, resume; and the registry (13.7)."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from core.errors import ConfigError
from core.rng import Streams
from optimization.samplers.protocol import Evaluated, Fitness, Sampler
from optimization.samplers.pymoo_genetic import partitions, reference_directions
from optimization.samplers.registry import FACTORIES, make_sampler
from optimization.space import SearchSpace, Vector
from sampler_runs import SPACE, Run, config, evaluate, fitness, hypervolume, resumed

TESTS = Path(__file__).parent
DIRECTED: dict[str, Any] = {"scoring": ["a", "b"], "population_size": None}
OPTIONS: dict[str, dict[str, Any]] = {
    "pymoo_nsga3": DIRECTED, "pymoo_unsga3": DIRECTED, "pymoo_rvea": DIRECTED | {"iters": 6000},
}  # fmt: skip
CHUNKS = {"pymoo_nsga3": (8, 500), "pymoo_unsga3": (8, 500), "pymoo_rvea": (12, 500), "optuna_tpe": (4, 24)}
NAMES = list(FACTORIES)
FOREIGN = [name for name in NAMES if name != "deap_nsga2"]


def started(name: str, seed: int = 1, score: Any = fitness) -> Run:
    return Run.started(name, seed, score, **OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_better_than_chance(name: str) -> None:
    """Every method finds more of the feasible front than random search does with as many candidates."""
    run = started(name).go(*CHUNKS.get(name, (40, 24)))
    rng = np.random.default_rng(5)
    by_chance = evaluate([SPACE.random(rng) for _ in run.told])
    assert hypervolume(run.told) > hypervolume(by_chance) + 0.4


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_genomes(name: str) -> None:
    """The global stream decides everything, also where all candidates are equally bad; other seeds search elsewhere."""

    def hopeless(genome: Vector) -> Fitness:
        return Fitness((1e30, 1e30), 1e30)

    first = started(name, 3, hopeless).go(2, 20, hopeless).genomes
    assert started(name, 3, hopeless).go(2, 20, hopeless).genomes == first
    assert started(name, 4, hopeless).go(2, 20, hopeless).genomes[-20:] != first[-20:]


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_of_variation_decides(name: str) -> None:
    """From the same population another stream makes other offspring, and the same stream the same."""

    def offspring(seed: int) -> list[Vector]:
        sampler = make_sampler(SPACE, config(name, **OPTIONS.get(name, {})))
        rng = np.random.default_rng(1)
        first = evaluate([SPACE.random(rng) for _ in range(sampler.population_size)])
        Streams.of(seed)
        sampler.tell(first)
        return [proposal.genome for proposal in sampler.ask(12)]

    assert offspring(1) == offspring(1) != offspring(2)


@pytest.mark.parametrize("name", NAMES)
def test_genomes_are_raw_but_valid(name: str) -> None:
    """Proposals lie within bounds, stepped genes on their grid, fixed genes at their value; any chunk size will do."""
    run = started(name).go(2, 7)
    for genome in run.genomes[-14:]:
        assert len(genome) == len(SPACE)
        assert SPACE.enforce(genome) == pytest.approx(genome, abs=1e-12)


@pytest.mark.parametrize("name", FOREIGN)
def test_objectives_of_infeasible_candidates_do_not_count(name: str) -> None:
    """Whether an infeasible candidate brings penalised objectives or others: the search is the same."""

    def unpenalised(genome: Vector) -> Fitness:
        scored = fitness(genome)
        return scored if scored.violation == 0 else replace(scored, objectives=(-genome[1], 1e6 * genome[2]))

    assert any(fitness(one).violation > 0 for one in started(name).genomes)
    assert started(name, 2, unpenalised).go(2, 20, unpenalised).genomes == started(name, 2).go(2, 20).genomes


@pytest.mark.parametrize("name", NAMES)
def test_resume_while_chunks_are_open(name: str) -> None:
    """With a lag several chunks are asked for before the first of them is told; a stored sampler goes on exactly."""
    run = started(name).go(1, 10)
    chunks = [evaluate(run.ask(6)) for _ in range(3)]
    run.sampler.tell(chunks[0])
    stored = run.stored()
    following = lagging(run, chunks[1:])
    assert lagging(resumed(name, stored, **OPTIONS.get(name, {})), chunks[1:]) == following


def lagging(run: Run, chunks: list[list[Evaluated]]) -> list[Vector]:
    asked = []
    for chunk in chunks:
        asked += run.ask(5)
        run.sampler.tell(chunk)
    return asked + run.ask(5)


def test_resume_in_a_fresh_process(tmp_path: Path) -> None:
    """What a process stored another one goes on with exactly."""
    runs = [(name, started(name).go(1, 10), OPTIONS.get(name, {})) for name in NAMES]
    stored = tmp_path / "stored"
    stored.write_bytes(msgpack.packb([(name, run.stored(), options) for name, run, options in runs]))
    program = [sys.executable, str(TESTS / "sampler_runs.py"), str(stored)]
    answer = json.loads(subprocess.run(program, capture_output=True, check=True, env=paths()).stdout)
    for name, run, options in runs:
        again = resumed(name, run.stored(), **options).go(2, 6)
        assert [tuple(genome) for genome in answer[name]] == again.genomes


@pytest.mark.parametrize("name", FOREIGN)
def test_told_genomes_may_differ_from_proposals(name: str) -> None:
    """Duplicates are perturbed after they were proposed: the method learns of what was evaluated."""

    def with_told(change: Any) -> list[Vector]:
        run = started(name)
        run.sampler.tell(evaluate([change(genome) for genome in run.ask(10)]))
        return run.ask(10)

    assert with_told(lambda genome: (0.26, *genome[1:])) != with_told(lambda genome: genome)


@pytest.mark.parametrize("name", FOREIGN)
def test_grid_points_just_beyond_the_last(name: str) -> None:
    """Rounding may place the last grid point a bit beyond the last index: that is no error."""
    genes = tuple(replace(gene, low=0.3, high=0.9, step=0.1) for gene in SPACE.genes[:8])
    space = SearchSpace((*genes, SPACE.genes[8]), None)
    assert max(gene.index_of(0.9) for gene in genes) > genes[0].last_index
    Streams.of(1)
    sampler = make_sampler(space, config(name, **OPTIONS.get(name, {})))
    rng = np.random.default_rng(1)
    first = [space.random(rng) for _ in range(sampler.population_size - 1)]
    sampler.tell(evaluate([(*[0.9] * 8, 3.0), *first]))
    assert all(space.enforce(one.genome) == pytest.approx(one.genome) for one in sampler.ask(20))


@pytest.mark.parametrize(("objectives", "count", "directions"), [(2, 499, 500), (3, 30, 496), (9, 4, 495)])
def test_reference_directions(objectives: int, count: int, directions: int) -> None:
    """As many partitions as make at most 500 directions (13.7); the population is as large when not configured."""
    assert partitions(objectives) == count
    assert reference_directions("pymoo_nsga3", objectives).shape == (directions, objectives)
    options = config("pymoo_nsga3", scoring=["m"] * objectives, population_size=None)
    assert make_sampler(SPACE, options).population_size == directions


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("simulated_annealing", {}, "'simulated_annealing' is not available; use one of deap_nsga2, pymoo_nsga2"),
        ("cma", {}, "optimize.sampler 'cma' is not available"),
        ("deap_nsga2", {"population_size": None}, "population_size is null: deap_nsga2 needs a number"),
        ("pymoo_nsga3", {"population_size": 250, "scoring": ["m"] * 9}, "250 is too small .* make it at least 495"),
        ("pymoo_nsga3", {"scoring": ["m"]}, "pymoo_nsga3 needs at least two entries in optimize.scoring"),
        ("pymoo_sms", {"scoring": ["m"] * 5}, "pymoo_sms cannot work with 5 objectives"),
        ("deap_nsga2", {"crossover_probability": 0.7}, "exceed 1"),
    ],
)
def test_options_that_do_not_fit(name: str, changes: dict[str, Any], message: str) -> None:
    """Unknown methods and options that do not fit the method are errors that name both."""
    with pytest.raises(ConfigError, match=message):
        make_sampler(SPACE, config(name, **changes))


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_to_search(name: str) -> None:
    """Methods that see free genes only cannot work without any."""
    with pytest.raises(ConfigError, match=f"optimize.bounds leave {name} nothing to search"):
        make_sampler(SearchSpace(SPACE.genes[-1:], 3), config(name))


@pytest.mark.parametrize(
    ("name", "changes", "line"),
    [
        ("optuna_tpe", {"iters": 2001}, "takes longer with every candidate; above 2000"),
        ("deap_nsga2", {"scoring": ["m"] * 4}, "4 objectives: optimize.sampler pymoo_nsga3 is made for"),
    ],
)
def test_advice(name: str, changes: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says when another method fits better, and nothing otherwise."""
    caplog.set_level(logging.INFO, "optimization")
    make_sampler(SPACE, config(name))
    assert not caplog.messages
    make_sampler(SPACE, config(name, **changes))
    assert line in caplog.text


def test_default() -> None:
    """Without `optimize.sampler` it is DEAP's NSGA-II."""
    options = config("")
    del options["optimize"]["sampler"]
    sampler: Sampler = make_sampler(SPACE, options)
    assert type(sampler).__name__ == "DeapNsga2"


@pytest.mark.parametrize(("name", "library"), [("pymoo_nsga2", "pymoo"), ("optuna_tpe", "optuna")])
def test_missing_library(name: str, library: str) -> None:
    """Libraries are imported when needed, and their absence is an error that says what to install."""
    program = f"""
import sys
sys.modules[{library!r}] = None
from core.errors import ToolMissingError
from optimization.samplers.registry import make_sampler
from optimization.space import Gene, SearchSpace
assert not {{"deap", "pymoo.core", "optuna.trial"}} & sys.modules.keys()
config = {config(name)!r}
try:
    make_sampler(SearchSpace((Gene("long_a", "long", "a", 0, 1),), 3), config)
except ToolMissingError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, env=paths())
    assert done.stdout == f"optimize.sampler {name} needs {library}: pip install -r requirements-samplers.txt\n"


def paths() -> dict[str, str]:
    return {"PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"}
