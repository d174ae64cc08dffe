"""What the workers of tests/test_dataset_sharing.py do; spawned processes import it by name."""

from __future__ import annotations

import numpy as np

from simulation.sharing import SharedDataset, attached_dataset


def look(shared: SharedDataset) -> tuple[float, float, int, bool, bool, int]:
    """Sums of cube and BTC prices, the first minute, whether it is mapped, contiguous and writable, columns."""
    with attached_dataset(shared) as dataset:
        cube = dataset.hlcvs
        return (
            float(np.nansum(cube)),
            float(dataset.btc_usd.sum()),
            int(dataset.timestamps[0]),
            isinstance(cube, np.memmap),
            cube.flags.c_contiguous and not cube.flags.writeable,
            len(dataset.coins),
        )


def fail(shared: SharedDataset) -> None:
    """A worker that dies of an error while it looks at the arrays."""
    with attached_dataset(shared) as dataset:
        raise ValueError(f"worker failed at {dataset.hlcvs.shape}")
