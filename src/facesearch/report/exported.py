"""Faces of a store as CSV, NDJSON or Parquet, written as they come."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError
from facesearch.records import FaceRow
from facesearch.report.facts import as_json, box_facts, rounded
from facesearch.report.spreadsheet import path_cell, text_cell

ExportFormat = Literal["csv", "ndjson", "parquet"]
INSTALL = "pip install pyarrow"
Batches = Iterable[list[FaceRow]]

_COLUMNS = (
    "id",
    "path",
    "root",
    "relative_path",
    "also",
    "person",
    "content",
    "face",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "landmarks",
    "score",
    "sharpness",
    "width",
    "height",
    "taken",
    "camera",
)


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes faces in one format; ``embeddings`` says whether rows have them."""

    format: ExportFormat
    embeddings: bool

    def require(self) -> None:
        """Makes sure that the format can be written, before anything is read for it.

        Raises:
            UsageError: the library for it is not installed.
        """
        if self.format != "parquet":
            return
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] != "pyarrow":
                raise
            raise UsageError(f"--parquet needs pyarrow; install it: {INSTALL}") from error

    def write(self, batches: Batches, file: BinaryIO) -> int:
        """Writes all of them; how many they were."""
        write = _WRITERS[self.format]
        return write(batches, file, self.embeddings)


def _write_csv(batches: Batches, file: BinaryIO, embeddings: bool) -> int:
    """A header, then a face a row, as safe in a spreadsheet as ``query --format csv``."""
    written = 0
    header = [*_COLUMNS, *(["embedding"] if embeddings else [])]
    file.write(_csv_lines([header]))
    for batch in batches:
        file.write(_csv_lines([_cells(row, embeddings) for row in batch]))
        written += len(batch)
    return written


def _csv_lines(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cells(row: FaceRow, embeddings: bool) -> list[Any]:
    facts = _facts(row)
    for name in ("path", "root", "relative_path"):
        facts[name] = path_cell(facts[name])
    for name in ("person", "taken", "camera"):
        facts[name] = text_cell(facts[name])
    for name in ("also", "landmarks"):
        facts[name] = json.dumps(facts[name]) if facts[name] else None
    box = facts.pop("box") or [None] * 4
    facts |= zip(("box_x", "box_y", "box_width", "box_height"), box, strict=True)
    cells = [facts[name] for name in _COLUMNS]
    return [*cells, _numbers(row.embedding)] if embeddings else cells


def _write_ndjson(batches: Batches, file: BinaryIO, embeddings: bool) -> int:
    """A JSON object a line."""
    written = 0
    for batch in batches:
        for row in batch:
            line = as_json(_facts(row))
            if embeddings:
                line = (
                    line.rstrip(b"}\n") + f', "embedding": {_numbers(row.embedding)}}}\n'.encode()
                )
            file.write(line)
        written += len(batch)
    return written


def _write_parquet(batches: Batches, file: BinaryIO, embeddings: bool) -> int:
    """A row group for each batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(embeddings)
    written = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            facts = [_facts(row) for row in batch]
            columns = {
                name: [_arrow_value(each[name]) for each in facts]
                for name in schema.names
                if name != "embedding"
            }
            if embeddings:
                columns["embedding"] = [row.embedding for row in batch]
            writer.write_table(pa.table(columns, schema=schema))
            written += len(batch)
    return written


def _schema(embeddings: bool) -> Any:
    import pyarrow as pa

    numbers = pa.list_(pa.float32())
    fields = {
        "id": pa.string(),
        "path": pa.string(),
        "root": pa.string(),
        "relative_path": pa.string(),
        "also": pa.list_(pa.string()),
        "person": pa.string(),
        "content": pa.string(),
        "face": pa.int32(),
        "box": numbers,
        "landmarks": pa.list_(numbers),
        "score": pa.float32(),
        "sharpness": pa.float32(),
        "width": pa.int32(),
        "height": pa.int32(),
        "taken": pa.string(),
        "camera": pa.string(),
    }
    if embeddings:
        fields["embedding"] = numbers
    return pa.schema(list(fields.items()))


def _arrow_value(value: Any) -> Any:
    """Names that are not UTF-8 show their bytes as escapes: Parquet's text is UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_arrow_value(each) for each in value]
    return value


def _facts(row: FaceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "path": row.path,
        "root": row.root,
        "relative_path": row.relative_path,
        "also": list(row.also),
        "person": row.person,
        "content": row.content,
        "face": row.face,
        "box": box_facts(row.box),
        "landmarks": [[rounded(x, 2), rounded(y, 2)] for x, y in row.landmarks],
        "score": rounded(row.score, 4),
        "sharpness": rounded(row.sharpness, 2),
        "width": row.width,
        "height": row.height,
        "taken": row.taken,
        "camera": row.camera,
    }


def _numbers(embedding: NDArray[np.float32] | None) -> str:
    """As a JSON list, with the nine digits that tell every float32 from the next."""
    if embedding is None:
        return "null"
    values = tuple(embedding.tolist())
    return f"[{', '.join(['%.9g'] * len(values))}]" % values  # at once: rows have hundreds


_WRITERS: dict[ExportFormat, Callable[[Batches, BinaryIO, bool], int]] = {
    "csv": _write_csv,
    "ndjson": _write_ndjson,
    "parquet": _write_parquet,
}
