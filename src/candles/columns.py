"""CSV files as columns of numbers: text first, then each number to its nearest double."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

Floats = npt.NDArray[np.float64]

_SEPARATORS = ",;\t|"


def text_table(content: bytes, *, header: bool = True) -> pa.Table:
    """All columns of a CSV file as text, by the names of its first line, else `0`, `1`, ...

    The first line is data if `header` is False or its first cell is a number. Raises pyarrow's errors for other files.
    """
    first_line = content[:4096].decode("utf-8-sig", "replace").split("\n", 1)[0].strip("\r")
    separator = max(_SEPARATORS, key=first_line.count)
    cells = first_line.split(separator)
    has_header = header and not _is_number(cells[0])
    names = [cell.strip().strip('"') for cell in cells] if has_header else [str(i) for i in range(len(cells))]
    return pa.csv.read_csv(
        io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")),
        read_options=pa.csv.ReadOptions(column_names=names, skip_rows=int(has_header)),
        parse_options=pa.csv.ParseOptions(delimiter=separator),
        convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )


def floats(column: pa.ChunkedArray) -> Floats:
    """Numbers as the nearest doubles; what is no number becomes NaN."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.utf8_trim_whitespace(column)
        no_number = pd.to_numeric(text.to_pandas(), errors="coerce").isna().to_numpy()
        column = pc.if_else(pa.array(no_number), None, text)
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _is_number(text: str) -> bool:
    try:
        float(text.strip().strip('"'))
    except ValueError:
        return False
    return True
