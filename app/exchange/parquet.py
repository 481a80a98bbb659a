"""NDJSON into Parquet, in a process of its own, which reads lines and writes the file:

    python -m app.exchange.parquet id:text said_earliest:day … < claims.ndjson > claims.parquet

To import pyarrow takes some 60 MB and a row group as much again, and neither is given back. The server has
none of it, and goes on answering while a file is made. The exit status is the number of the system's error
(`errno`) if the file could not be written.
"""

import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

ROW_GROUP = 65_536
_BLOCK = 1024 * 1024
"""How much JSON is read at once; a row is far shorter."""

TYPES = {
    "text": pa.string(),
    "exact": pa.string(),
    "number": pa.float64(),
    "count": pa.int64(),
    "flag": pa.bool_(),
    "day": pa.date32(),
    "instant": pa.timestamp("us", "UTC"),
}
_READ_AS_TEXT = ("day", "instant")


def _schemas(columns: list[str]) -> tuple[pa.Schema, pa.Schema]:
    """What is read and what is written."""
    pairs = [column.rsplit(":", 1) for column in columns]
    read = [(name, pa.string() if kind in _READ_AS_TEXT else TYPES[kind]) for name, kind in pairs]
    return pa.schema(read), pa.schema([(name, TYPES[kind]) for name, kind in pairs])


def _batches(lines: io.BufferedReader, read: pa.Schema) -> Iterator[pa.RecordBatch]:
    options = pyarrow.json.ParseOptions(explicit_schema=read, unexpected_field_behavior="error")
    blocks = pyarrow.json.ReadOptions(block_size=_BLOCK, use_threads=False)  # or it reads far ahead
    yield from pyarrow.json.open_json(pa.PythonFile(lines, "r"), blocks, options)


def _groups(batches: Iterator[pa.RecordBatch], written: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(pa.Table.from_batches([batch]).cast(written))
        count += batch.num_rows
        while count >= ROW_GROUP:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, ROW_GROUP)
            waiting, count = [whole.slice(ROW_GROUP)], count - ROW_GROUP
    if count:
        yield pa.concat_tables(waiting)


class _File(io.RawIOBase):
    """An open file, read from its beginning at a place of its own: others may be reading it as well."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count


def main(columns: list[str], lines: int, file: BinaryIO) -> None:
    """Makes a file of the lines of an open file, which may be none."""
    read, written = _schemas(columns)
    with pyarrow.parquet.ParquetWriter(pa.PythonFile(file, "w"), written, compression="zstd") as writer:
        if os.fstat(lines).st_size:  # pyarrow does not read an empty stream
            for group in _groups(_batches(io.BufferedReader(_File(lines)), read), written):
                writer.write_table(group, ROW_GROUP)


if __name__ == "__main__":
    try:
        main(sys.argv[1:], sys.stdin.fileno(), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except OSError as fault:
        os._exit(fault.errno or 1)  # an orderly end would try to write the rest, and change the status
