"""Handing a dataset to worker processes without copying it for each of them (`candles.md` 16).

Workers open the same mapped files; where they cannot, they attach blocks of shared memory. What goes through the pipe
says where the arrays are, it never holds them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np

from core.errors import DataError, RunError
from core.files import temporary_name
from simulation.dataset import Dataset
from simulation.dataset_cache import Array

logger = logging.getLogger(__name__)

ARRAYS = ("hlcvs", "btc_usd", "timestamps")
SHARED_MEMORY = Path("/dev/shm")  # where the system shows it as a directory


@dataclass(frozen=True, slots=True)
class ArrayDescriptor:
    """Where an array is: the path of a `.npy` file, or the name of a block of shared memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    in_file: bool


@dataclass(frozen=True, slots=True)
class SharedDataset:
    """A dataset to be pickled: everything but the arrays, and where these are."""

    facts: Dataset
    arrays: Mapping[str, ArrayDescriptor]


@contextmanager
def shared_dataset(dataset: Dataset, *, in_memory: bool = False) -> Iterator[SharedDataset]:
    """What workers `attach`, as long as the context lasts; whatever ends it, nothing is left behind.

    A plain dataset is shared by its files, a compressed one is written out once, beside its place. `in_memory`, or a
    disk without room for that, takes shared memory. Raises RunError if there is too little of it.
    """
    with ExitStack() as stack:
        arrays = _in_memory(stack, dataset) if in_memory else _in_files(stack, dataset)
        nothing = np.empty(0)
        yield SharedDataset(replace(dataset, hlcvs=nothing, btc_usd=nothing, timestamps=nothing), arrays)


@contextmanager
def attached_dataset(shared: SharedDataset) -> Iterator[Dataset]:
    """The dataset in a worker, its arrays read-only views. Raises DataError if an array cannot be opened here."""
    with ExitStack() as stack:
        hlcvs, btc_usd, timestamps = (_attached(stack, shared.arrays[name]) for name in ARRAYS)
        yield replace(shared.facts, hlcvs=hlcvs, btc_usd=btc_usd, timestamps=timestamps)
        del hlcvs, btc_usd, timestamps


def _in_files(stack: ExitStack, dataset: Dataset) -> dict[str, ArrayDescriptor]:
    files = {name: _file_of(getattr(dataset, name)) for name in ARRAYS}
    if None in files.values():
        folder = stack.enter_context(_folder_beside(dataset.directory))
        try:
            files |= {name: _saved(folder, name, dataset) for name, path in files.items() if path is None}
        except OSError as exc:
            logger.info("dataset %s is shared in memory, it cannot be written out: %s", dataset.key, exc)
            return _in_memory(stack, dataset)
    return {name: _descriptor(str(path), getattr(dataset, name), in_file=True) for name, path in files.items()}


def _file_of(array: Array) -> Path | None:
    """The file that holds exactly this array; None for one in memory and for a part of a file."""
    if not isinstance(array, np.memmap) or not array.flags.c_contiguous:
        return None
    path = Path(str(array.filename)).absolute()
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return path if (stored.shape, stored.dtype) == (array.shape, array.dtype) else None


@contextmanager
def _folder_beside(directory: Path) -> Iterator[Path]:
    folder = temporary_name(directory.absolute())
    try:
        with suppress(OSError):  # writing into it will fail, and be told
            folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _saved(folder: Path, name: str, dataset: Dataset) -> Path:
    path = folder / f"{name}.npy"
    np.save(path, getattr(dataset, name))
    return path


def _in_memory(stack: ExitStack, dataset: Dataset) -> dict[str, ArrayDescriptor]:
    size = sum(getattr(dataset, name).nbytes for name in ARRAYS)
    free = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else size
    if size > free:  # the system would kill the process that writes what does not fit
        raise RunError(
            f"dataset {dataset.key} needs {size >> 20} MiB of shared memory, {free >> 20} MiB are free; "
            "use backtest.compress_cache false, or a cache directory that workers can read"
        )
    return {name: stack.enter_context(_block(getattr(dataset, name))) for name in ARRAYS}


@contextmanager
def _block(array: Array) -> Iterator[ArrayDescriptor]:
    """A block of shared memory with a copy of the array, closed and removed at the end."""
    try:
        block = SharedMemory(create=True, size=max(array.nbytes, 1))
    except OSError as exc:
        raise RunError(f"no shared memory for {array.nbytes >> 20} MiB: {exc.strerror or exc}; free some") from exc
    try:
        np.ndarray(array.shape, array.dtype, buffer=block.buf)[...] = array
        yield _descriptor(block.name, array, in_file=False)
    finally:
        block.close()
        block.unlink()


def _descriptor(name: str, array: Array, *, in_file: bool) -> ArrayDescriptor:
    return ArrayDescriptor(name, array.shape, array.dtype.str, in_file)


def _attached(stack: ExitStack, descriptor: ArrayDescriptor) -> Array:
    try:
        if descriptor.in_file:
            mapped: Array = np.load(descriptor.name, mmap_mode="r", allow_pickle=False)
            return mapped
        block = SharedMemory(descriptor.name)
    except (OSError, ValueError) as exc:
        raise DataError(f"{descriptor.name} cannot be opened by this process: {exc}; share it in memory") from exc
    stack.callback(_close, block)
    view: Array = np.ndarray(descriptor.shape, descriptor.dtype, buffer=block.buf)
    view.flags.writeable = False
    return view


def _close(block: SharedMemory) -> None:
    with suppress(BufferError):  # somebody still looks at it: it goes with the process
        block.close()
