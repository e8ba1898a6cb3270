"""Vectors of every type, from the creation of a collection to its restart, compared with numpy."""

import time

import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusClient, MilvusException, RRFRanker

DIM = 24


class Half:
    type = DataType.FLOAT16_VECTOR
    dim, bytes, metric = DIM, 2 * DIM, "L2"
    tolerance = 1e-3

    def make(self, rng, n):
        return rng.standard_normal((n, DIM)).astype(np.float16)

    def write(self, v):
        return v

    def read(self, cell):
        return np.frombuffer(raw(cell), dtype=np.float16)


class Brain:
    """numpy has no bfloat16: rows are kept as their 16 bits and travel as bytes."""

    type = DataType.BFLOAT16_VECTOR
    dim, bytes, metric = DIM, 2 * DIM, "L2"
    tolerance = 1e-3

    def make(self, rng, n):
        bits = rng.standard_normal((n, DIM)).astype(np.float32).view(np.uint32)
        return (bits >> 16 << 16).view(np.float32)

    def write(self, v):
        return (v.view(np.uint32) >> 16).astype(np.uint16).tobytes()

    def read(self, cell):
        return (np.frombuffer(raw(cell), dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)


class Int8:
    type = DataType.INT8_VECTOR
    dim, bytes, metric = DIM, DIM, "L2"
    tolerance = 1e-5

    def make(self, rng, n):
        return rng.integers(-128, 128, (n, DIM)).astype(np.int8)

    def write(self, v):
        return v

    def read(self, cell):
        return np.frombuffer(raw(cell), dtype=np.int8)


class Bits:
    """Rows near a few centres, a quarter of the bits set."""

    type = DataType.BINARY_VECTOR
    dim, bytes, metric = 256, 32, "HAMMING"
    tolerance = 1e-6

    def make(self, rng, n):
        centres = np.random.default_rng(1).integers(0, 256, (2, 20, 32), dtype=np.uint8)
        rows = (centres[0] & centres[1])[rng.integers(0, 20, n)]
        flips = np.packbits(rng.random((n, 256)) < 0.08, axis=1)
        return rows ^ flips

    def write(self, v):
        return v.tobytes()

    def read(self, cell):
        return np.frombuffer(raw(cell), dtype=np.uint8)


def raw(cell):
    """Some versions of the SDK wrap the bytes of a vector in a list."""
    return cell[0] if isinstance(cell, list) else cell


DENSE = {"float16": Half(), "bfloat16": Brain(), "int8": Int8()}
ALL = DENSE | {"binary": Bits()}


@pytest.fixture(params=ALL)
def kind(request):
    return ALL[request.param]


def ascending(metric):
    return metric not in ("IP", "COSINE")


def distances(metric, rows, query):
    if metric == "HAMMING":
        return np.bitwise_count(rows ^ query).sum(axis=1).astype(float)
    if metric == "JACCARD":
        return 1 - np.bitwise_count(rows & query).sum(axis=1) / np.bitwise_count(rows | query).sum(axis=1)
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        return ((rows - query) ** 2).sum(axis=1)
    ip = rows @ query
    if metric == "IP":
        return ip
    return ip / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)


def create(client, name, fields, indexes):
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    for field, args in fields.items():
        schema.add_field(field, **args)
    params = client.prepare_index_params()
    for field, args in indexes.items():
        params.add_index(field, **args)
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")


def wait_for_index(client, name, field):
    until = time.time() + 60
    while client.describe_index(name, field)["pending_index_rows"] > 0:
        assert time.time() < until, client.describe_index(name, field)
        time.sleep(0.1)


def check_search(client, name, kind, data, live, queries, metric, limit=10, **more):
    """Compares a search with numpy over the live rows: every score, and at least 95 % of the best."""
    hits = client.search(name, [kind.write(q) for q in queries], anns_field="vec", limit=limit, **more)
    found = 0
    for query, got in zip(queries, hits):
        assert len(got) == min(limit, len(live))
        want = dict(zip(live, distances(metric, data[live], query)))
        best = sorted(want.values(), reverse=not ascending(metric))[limit - 1]
        for hit in got:
            assert hit["distance"] == pytest.approx(want[hit["id"]], rel=kind.tolerance, abs=kind.tolerance)
            found += hit["distance"] <= best * (1 + 1e-3) if ascending(metric) else hit["distance"] >= best - 1e-3 * abs(best)
        ordered = [h["distance"] for h in got]
        assert ordered == sorted(ordered, reverse=not ascending(metric))
    assert found >= 0.95 * limit * len(queries)


LIVES = [(k, *how) for k in DENSE for how in (("FLAT", "IP"), ("HNSW", "L2"), ("AUTOINDEX", "COSINE"))]
LIVES += [("float16", "IVF_FLAT", "IP"), ("bfloat16", "IVF_SQ8", "L2")]
LIVES += [("binary", *how) for how in (("BIN_FLAT", "HAMMING"), ("BIN_IVF_FLAT", "JACCARD"), ("AUTOINDEX", "HAMMING"))]


@pytest.mark.parametrize("type, index, metric", LIVES)
def test_life_of_a_collection(client, name, rng, type, index, metric):
    kind = ALL[type]
    # On data without clusters a few lists hold only a part of what is near.
    how = {"search_params": {"params": {"nprobe": 64}}} if index.startswith("IVF") else {}
    data = kind.make(rng, 2300)
    create(client, name, {"vec": {"datatype": kind.type, "dim": kind.dim}}, {"vec": {"index_type": index, "metric_type": metric}})
    field = next(f for f in client.describe_collection(name)["fields"] if f["name"] == "vec")
    assert (field["type"], field["params"]["dim"]) == (kind.type, kind.dim)
    rows = [{"id": i, "n": i % 10, "vec": kind.write(v)} for i, v in enumerate(data)]
    client.insert(name, rows[:1800])
    client.flush(name)
    wait_for_index(client, name, "vec")
    client.insert(name, rows[1800:2000])  # stays growing
    queries = kind.make(rng, 4)
    live = list(range(2000))
    check_search(client, name, kind, data, live, queries, metric, **how)

    client.delete(name, filter="id % 7 == 0")
    data[11] = data[2299]
    client.upsert(name, [{"id": 11, "n": 1, "vec": kind.write(data[11])}])
    live = [i for i in live if i % 7]
    check_search(client, name, kind, data, live, queries, metric, **how)
    odd = [i for i in live if i % 10 == 3]
    check_search(client, name, kind, data, odd, queries, metric, filter="n == 3", **how)

    for i in (11, 500, 1900):  # replaced, sealed, growing
        row = client.get(name, ids=[i], output_fields=["vec"])[0]
        assert (kind.read(row["vec"]) == data[i]).all()
        hit = client.search(name, [kind.write(data[i])], anns_field="vec", limit=1, output_fields=["vec"], search_params={"metric_type": metric})[0][0]
        if metric != "IP":
            assert hit["id"] == i
            assert (kind.read(hit["entity"]["vec"]) == data[i]).all()
    by_id = client.search(name, ids=[500, 1900], limit=5, anns_field="vec")
    by_vector = client.search(name, [kind.write(data[500]), kind.write(data[1900])], limit=5, anns_field="vec")
    assert [[h["id"] for h in q] for q in by_id] == [[h["id"] for h in q] for q in by_vector]

    want = distances(metric, data[live], queries[0])
    edge = float(np.sort(want)[50] if ascending(metric) else np.sort(want)[-51])
    near = client.search(name, [kind.write(queries[0])], anns_field="vec", limit=200, search_params={"metric_type": metric, "params": {"radius": edge}})[0]
    inside = (want < edge) if ascending(metric) else (want > edge)
    assert abs(len(near) - inside.sum()) <= 1

    client.release_collection(name)
    client.load_collection(name)
    check_search(client, name, kind, data, live, queries, metric, **how)
    client.flush(name)
    client.compact(name)
    wait_for_index(client, name, "vec")
    check_search(client, name, kind, data, live, queries, metric, **how)


def test_iterators(client, name, rng, kind):
    data = kind.make(rng, 700)
    create(client, name, {"vec": {"datatype": kind.type, "dim": kind.dim}}, {"vec": {"metric_type": kind.metric}})
    client.insert(name, [{"id": i, "n": i, "vec": kind.write(v)} for i, v in enumerate(data)])
    pages = client.query_iterator(name, batch_size=100, output_fields=["vec"])
    seen = {}
    while page := pages.next():
        seen.update({r["id"]: kind.read(r["vec"]) for r in page})
    assert len(seen) == 700 and all((seen[i] == data[i]).all() for i in seen)

    pages = client.search_iterator(name, data=[kind.write(data[3])], batch_size=90, limit=500, anns_field="vec",
                                   search_params={"metric_type": kind.metric})
    hits = []
    while page := pages.next():
        hits += [(h["id"], h["distance"]) for h in page]
    want = np.sort(distances(kind.metric, data, data[3]))[:500]
    assert len({i for i, _ in hits}) == len(hits) == 500
    assert np.allclose([d for _, d in hits], want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [Half(), Brain()], ids=["float16", "bfloat16"])
def test_float32_given_to_half_precision(client, name, rng, kind):
    """Rows and queries of float32 are rounded."""
    create(client, name, {"vec": {"datatype": kind.type, "dim": DIM}}, {"vec": {"index_type": "HNSW", "metric_type": "L2"}})
    data = rng.standard_normal((50, DIM)).astype(np.float32)
    client.insert(name, [{"id": i, "n": i, "vec": v.tolist()} for i, v in enumerate(data)])
    assert np.allclose(kind.read(client.get(name, ids=[7])[0]["vec"]), data[7], rtol=1 / 128)
    hit = client.search(name, [data[7].tolist()], limit=1)[0][0]
    assert (hit["id"], hit["distance"]) == (7, 0)


def test_many_vector_fields(client, name, rng):
    fields = {"dense": {"datatype": DataType.FLOAT_VECTOR, "dim": DIM}}
    fields |= {k: {"datatype": t.type, "dim": t.dim} for k, t in ALL.items()}
    create(client, name, fields, {f: {"metric_type": ALL[f].metric if f in ALL else "L2"} for f in fields})
    data = {k: t.make(rng, 1200) for k, t in ALL.items()}
    dense = rng.standard_normal((1200, DIM)).astype(np.float32)
    client.insert(name, [
        {"id": i, "n": i, "dense": dense[i]} | {k: t.write(data[k][i]) for k, t in ALL.items()} for i in range(1200)])
    client.flush(name)
    for f in fields:
        wait_for_index(client, name, f)
    asked = [AnnSearchRequest([dense[42]], "dense", {}, 5)]
    asked += [AnnSearchRequest([t.write(data[k][42])], k, {}, 5) for k, t in ALL.items()]
    hit = client.hybrid_search(name, asked, RRFRanker(), limit=3, output_fields=list(fields))[0][0]
    assert hit["id"] == 42
    assert hit["distance"] == pytest.approx(len(fields) / 61, rel=1e-5)
    assert np.array_equal(np.array(hit["entity"]["dense"], dtype=np.float32), dense[42])
    for k, t in ALL.items():
        assert (t.read(hit["entity"][k]) == data[k][42]).all()


@pytest.mark.parametrize("kind", [None, *ALL.values()], ids=["float", *ALL])
def test_rows_without_a_vector(client, name, rng, kind):
    if kind is None:
        class kind:
            type, dim, metric = DataType.FLOAT_VECTOR, DIM, "L2"
            make = staticmethod(lambda rng, n: rng.standard_normal((n, DIM)).astype(np.float32))
            write = staticmethod(lambda v: v)
            read = staticmethod(lambda cell: np.array(cell, dtype=np.float32))
    create(client, name, {"vec": {"datatype": kind.type, "dim": kind.dim, "nullable": True}}, {"vec": {"metric_type": kind.metric}})
    data = kind.make(rng, 1300)
    def row(i):
        return {"id": i, "n": i, "vec": None if i % 3 == 0 else kind.write(data[i])}
    client.insert(name, [row(i) for i in range(1200)])
    client.flush(name)
    wait_for_index(client, name, "vec")
    client.insert(name, [row(i) for i in range(1200, 1300)])
    client.insert(name, [{"id": 3000, "n": 1, "vec": None}])
    hits = client.search(name, [kind.write(data[4]), kind.write(data[1201])], limit=1000, anns_field="vec", output_fields=["vec"])
    for query, got in zip((4, 1201), hits):
        ids = [h["id"] for h in got]
        assert ids[0] == query and len(ids) == sum(i % 3 != 0 for i in range(1300)) and all(i % 3 for i in ids)
        for h in got[:20]:
            assert (kind.read(h["entity"]["vec"]) == data[h["id"]]).all()
    rows = client.query(name, filter="id in [2, 3, 4, 1203, 1204, 3000]", output_fields=["vec"])
    assert [r["id"] for r in rows if r["vec"] is None] == [3, 1203, 3000]
    for r in rows:
        if r["vec"] is not None:
            assert (kind.read(r["vec"]) == data[r["id"]]).all()


def refused(call, text, code=1100):
    with pytest.raises(MilvusException) as e:
        call()
    assert e.value.code == code and text in e.value.message, e.value


def test_wrong_input(client, name, rng, kind):
    def make(**args):
        create(client, name, {"vec": {"datatype": kind.type} | args}, {"vec": {"metric_type": kind.metric}})
    refused(lambda: make(dim=1), "invalid dimension: 1. should be in range 2 ~ 32768")
    if kind.type == DataType.BINARY_VECTOR:
        refused(lambda: make(dim=262152), "invalid dimension: 262152 of field vec. binary vector dimension should be in range 2 ~ 262144")
        refused(lambda: make(dim=12), "invalid dimension: 12 of field vec. binary vector dimension should be multiple of 8.")
    else:
        refused(lambda: make(dim=32769), "invalid dimension: 32769 of field vec. float vector dimension should be in range 2 ~ 32768")
    make(dim=kind.dim)
    short = kind.write(kind.make(rng, 1)[0])[:-4]
    refused(lambda: client.insert(name, [{"id": 1, "n": 1, "vec": short}]), f"data should divide the dim({kind.dim})")
    refused(lambda: client.search(name, [short], anns_field="vec", limit=1), f"vector dimension mismatch, expected vector size(byte) {kind.bytes}, actual")
    if kind.type in (DataType.INT8_VECTOR, DataType.BINARY_VECTOR):
        refused(lambda: client.search(name, [[0.5] * kind.dim], limit=1), ", search info type FloatVector")
    else:
        bad = {DataType.FLOAT16_VECTOR: 0x7C00, DataType.BFLOAT16_VECTOR: 0xFFC0}[kind.type]
        bad = np.full(DIM, bad, dtype=np.uint16).tobytes()
        refused(lambda: client.insert(name, [{"id": 1, "n": 1, "vec": bad}]), "is not a number or infinity")
        refused(lambda: client.search(name, [bad], anns_field="vec", limit=1), "is not a number or infinity")
    def index(**args):
        params = client.prepare_index_params()
        params.add_index("vec", **args)
        return lambda: client.create_index(name, params)
    other, wrong = ("HNSW", "L2") if kind.type == DataType.BINARY_VECTOR else ("BIN_FLAT", "HAMMING")
    refused(index(index_type=other, metric_type=kind.metric), f"can't build with this index {other}")
    refused(index(index_type="NOSUCH", metric_type=kind.metric), "invalid index type: NOSUCH")
    refused(index(index_type="AUTOINDEX", metric_type=wrong), f"vector index does not support metric type: {wrong}")
    assert client.query(name, filter="id >= 0", output_fields=["count(*)"])[0]["count(*)"] == 0


@pytest.mark.parametrize("metric", ["SUBSTRUCTURE", "SUPERSTRUCTURE"])
def test_structures(client, name, rng, metric):
    """A query is a substructure of rows that have all its bits, and a superstructure of rows of which it has all bits."""
    kind = Bits()
    data = kind.make(rng, 1100)
    create(client, name, {"vec": {"datatype": kind.type, "dim": kind.dim}}, {"vec": {"index_type": "BIN_FLAT", "metric_type": metric}})
    client.insert(name, [{"id": i, "n": i, "vec": kind.write(v)} for i, v in enumerate(data)])
    client.flush(name)
    query = data[5] & data[8] if metric == "SUBSTRUCTURE" else data[5] | data[8]
    outside = query & ~data if metric == "SUBSTRUCTURE" else data & ~query
    want = np.flatnonzero(outside.sum(axis=1) == 0)
    hits = client.search(name, [query.tobytes()], anns_field="vec", limit=100)[0]
    assert {5, 8} <= {h["id"] for h in hits} == set(want.tolist())
    assert all(h["distance"] == 0 for h in hits)
    params = client.prepare_index_params()
    params.add_index("vec", index_type="BIN_IVF_FLAT", metric_type=metric)
    client.release_collection(name)
    client.drop_index(name, "vec")
    refused(lambda: client.create_index(name, params), f"metric type {metric} not found or not supported, supported: [HAMMING JACCARD]")


def test_partial_upsert_keeps_vectors(client, name, rng, kind):
    create(client, name, {"vec": {"datatype": kind.type, "dim": kind.dim}, "opt": {"datatype": kind.type, "dim": kind.dim, "nullable": True}},
           {"vec": {"metric_type": kind.metric}, "opt": {"metric_type": kind.metric}})
    data = kind.make(rng, 40)
    client.insert(name, [{"id": i, "n": i, "vec": kind.write(v), "opt": None if i % 2 else kind.write(v)} for i, v in enumerate(data[:30])])
    client.upsert(name, [{"id": i, "n": 100 + i} for i in range(10)], partial_update=True)
    client.upsert(name, [{"id": i, "opt": kind.write(data[i])} for i in (11, 13)], partial_update=True)
    client.upsert(name, [{"id": 14, "opt": None}], partial_update=True)
    for row in client.query(name, filter="id < 20", output_fields=["n", "vec", "opt"]):
        i = row["id"]
        assert row["n"] == (100 + i if i < 10 else i)
        assert (kind.read(row["vec"]) == data[i]).all()
        if i == 14 or i % 2 and i not in (11, 13):
            assert row["opt"] is None
        else:
            assert (kind.read(row["opt"]) == data[i]).all()


@pytest.mark.parametrize("type, index", [("float16", "DISKANN"), ("bfloat16", "HNSW"), ("int8", "HNSW"), ("binary", "BIN_IVF_FLAT"), ("bfloat16", "SCANN")])
def test_vectors_on_disk(client, name, rng, type, index):
    """Indexes over raw vectors that querynodes keep in their disk cache."""
    kind = ALL[type]
    data = kind.make(rng, 1500)
    create(client, name, {"vec": {"datatype": kind.type, "dim": kind.dim, "mmap_enabled": True}},
           {"vec": {"index_type": index, "metric_type": kind.metric, "params": {"nlist": 8} if "HNSW" not in index and "DISK" not in index else {}}})
    client.insert(name, [{"id": i, "n": i % 10, "vec": kind.write(v)} for i, v in enumerate(data)])
    client.flush(name)
    wait_for_index(client, name, "vec")
    client.release_collection(name)
    client.load_collection(name)
    queries = kind.make(rng, 4)
    check_search(client, name, kind, data, list(range(1500)), queries, kind.metric)
    check_search(client, name, kind, data, list(range(3, 1500, 10)), queries, kind.metric, filter="n == 3")
    rows = client.get(name, ids=[3, 1400], output_fields=["vec"])
    assert all((kind.read(r["vec"]) == data[r["id"]]).all() for r in rows)
