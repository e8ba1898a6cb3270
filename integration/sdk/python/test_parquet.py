"""A sealed segment's rows.parquet is readable by pyarrow, pandas and DuckDB.

Needs a file, named by GYR_PARQUET_FILE. Either take one from a bucket or have one made:

    cd pkg && GYR_WRITE_PARQUET=/tmp/rows.parquet go test -count=1 -run ParquetForOthers ./segment
    GYR_PARQUET_FILE=/tmp/rows.parquet pytest integration/sdk/python/test_parquet.py
"""

import json
import os

import pytest

PATH = os.environ.get("GYR_PARQUET_FILE")
if not PATH:
    pytest.skip("GYR_PARQUET_FILE names no file", allow_module_level=True)

pq = pytest.importorskip("pyarrow.parquet")

FLOAT_VECTOR, ARRAY, VARCHAR, JSON = 101, 22, 21, 23
# Vectors that are kept as bytes: how many bits a component takes.
PACKED = {100: 1, 102: 16, 103: 16, 105: 8}


@pytest.fixture(scope="module")
def file():
    return pq.ParquetFile(PATH)


@pytest.fixture(scope="module")
def fields(file):
    meta = file.metadata.metadata
    assert meta[b"gyr.format"] == b"1"
    return json.loads(meta[b"gyr.schema"])["fields"]


def test_columns_are_the_schema(file, fields):
    names = file.schema_arrow.names
    assert names[: len(fields)] == [f["name"] for f in fields]
    assert names[len(fields)] == "__timestamp"
    assert set(names[len(fields) + 1 :]) <= {"__deleted"}


def test_vectors_are_plain_and_uncompressed(file, fields):
    vectors = [f for f in fields if f["type"] == FLOAT_VECTOR or f["type"] in PACKED]
    assert vectors
    for group in range(file.metadata.num_row_groups):
        row_group = file.metadata.row_group(group)
        for i in range(row_group.num_columns):
            chunk = row_group.column(i)
            if chunk.path_in_schema.split(".")[0] in {f["name"] for f in vectors}:
                assert chunk.compression == "UNCOMPRESSED"
                assert "PLAIN" in chunk.encodings
                assert chunk.has_offset_index


def test_pyarrow_reads_every_value(file, fields):
    table = file.read()
    table.validate(full=True)
    assert table.num_rows == file.metadata.num_rows
    for f in fields:
        column = table.column(f["name"])
        if not f.get("nullable"):
            assert column.null_count == 0, f["name"]
        if f["type"] == FLOAT_VECTOR:
            assert {len(v) for v in column.to_pylist() if v is not None} <= {f["dim"]}
        if f["type"] in PACKED:
            assert column.type.byte_width == f["dim"] * PACKED[f["type"]] // 8
        if f["name"] == "half" and f["dim"] == 24:  # the file of integration/sdk
            for key, cell in zip(table.column("id").to_pylist(), column.to_pylist()):
                assert cell == (key // 2).to_bytes(2, "little") * 24
        if f["type"] == JSON:
            for text in column.to_pylist():
                if text is not None:
                    json.loads(text)
    key = file.metadata.metadata[b"gyr.primary_key"].decode()
    order = list(zip(table.column(key).to_pylist(), table.column("__timestamp").to_pylist()))
    if not isinstance(order[0][0], str):
        assert order == sorted(order)


def test_pandas(file, fields):
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    frame = pandas.read_parquet(PATH)
    assert len(frame) == file.metadata.num_rows
    for f in fields:
        if f["type"] == FLOAT_VECTOR and not f.get("nullable"):
            matrix = numpy.stack(frame[f["name"]].to_numpy())
            assert matrix.shape == (len(frame), f["dim"])
            assert matrix.dtype == numpy.float32


def test_duckdb(file, fields):
    duckdb = pytest.importorskip("duckdb")
    db = duckdb.connect()
    rows = db.execute("select count(*) from read_parquet(?)", [PATH]).fetchone()[0]
    assert rows == file.metadata.num_rows
    types = {r[0]: r[1] for r in db.execute("describe select * from read_parquet(?)", [PATH]).fetchall()}
    for f in fields:
        if f["type"] == FLOAT_VECTOR:
            assert types[f["name"]] == "FLOAT[]"
            dim, name = f["dim"], f["name"]
            found = db.execute(
                f'select array_distance("{name}"::FLOAT[{dim}], "{name}"::FLOAT[{dim}]) from read_parquet(?) '
                f'where "{name}" is not null limit 3',
                [PATH],
            ).fetchall()
            assert all(d == (0.0,) for d in found)
        elif f["type"] in PACKED:
            assert types[f["name"]] == "BLOB"
        elif f["type"] == VARCHAR:
            assert types[f["name"]] == "VARCHAR"
        elif f["type"] == ARRAY:
            assert types[f["name"]].endswith("[]")
