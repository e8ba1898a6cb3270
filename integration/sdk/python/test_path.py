"""The main path of a MilvusClient program: every call answered, and answered right."""

import time

import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusClient, MilvusException, RRFRanker, WeightedRanker

from conftest import URI2

DIM = 16


def unit(rng, n, dim=DIM):
    v = rng.standard_normal((n, dim)).astype(np.float32)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def brute(vectors, ids, query, k):
    order = np.argsort(-(vectors @ query), kind="stable")[:k]
    return [ids[i] for i in order]


def rich_schema(client, auto_id=False, key=DataType.INT64):
    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=True)
    if key == DataType.VARCHAR:
        schema.add_field("id", key, is_primary=True, max_length=64)
    else:
        schema.add_field("id", key, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("n", DataType.INT32)
    schema.add_field("price", DataType.DOUBLE, nullable=True)
    schema.add_field("word", DataType.VARCHAR, max_length=32, default_value="none")
    schema.add_field("doc", DataType.JSON, nullable=True)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=16)
    return schema


def index_params(client, metric="COSINE", kind="HNSW", field="vec"):
    p = client.prepare_index_params()
    p.add_index(field, index_type=kind, metric_type=metric, params={"M": 16, "efConstruction": 100} if kind == "HNSW" else {})
    return p


def rows(vectors, start=0):
    return [
        {"id": start + i, "vec": v.tolist(), "n": i % 10, "price": None if i % 5 == 0 else i * 0.5, "word": f"w{i % 3}",
         "doc": {"a": i, "b": {"c": f"x{i % 4}"}}, "tags": [f"t{i % 2}", f"t{i % 7}"], "extra": i * 2}
        for i, v in enumerate(vectors)
    ]


def create(client, name, n=200, rng=None, **kw):
    client.create_collection(name, schema=rich_schema(client), index_params=index_params(client, **kw), consistency_level="Strong")
    v = unit(rng, n)
    client.insert(name, rows(v))
    return v


@pytest.mark.parametrize("kind", ["FLAT", "HNSW", "AUTOINDEX"])
def test_search_is_exact_on_growing_and_sealed_rows(client, name, rng, kind):
    p = client.prepare_index_params()
    p.add_index("vec", index_type=kind, metric_type="COSINE")
    client.create_collection(name, schema=rich_schema(client), index_params=p, consistency_level="Strong")
    v = unit(rng, 300)
    client.insert(name, rows(v))
    queries = unit(rng, 5)
    want = [brute(v, list(range(300)), q, 10) for q in queries]

    def check():
        got = client.search(name, data=queries.tolist(), limit=10, output_fields=["n", "extra"])
        for hits, expected, q in zip(got, want, queries):
            assert [h["id"] for h in hits] == expected
            for h in hits:
                assert abs(h["distance"] - float(v[h["id"]] @ q)) < 1e-4
                assert h["entity"]["n"] == h["id"] % 10 and h["entity"]["extra"] == h["id"] * 2

    check()
    client.flush(name)
    check()
    client.release_collection(name)
    with pytest.raises(MilvusException):
        client.search(name, data=queries.tolist(), limit=10)
    client.load_collection(name)
    check()


def test_l2_is_squared_and_ascending(client, name, rng):
    v = create(client, name, rng=rng, metric="L2")
    hits = client.search(name, data=[v[3].tolist()], limit=3)[0]
    assert hits[0]["id"] == 3 and abs(hits[0]["distance"]) < 1e-6
    for h in hits:
        assert abs(h["distance"] - float(((v[h["id"]] - v[3]) ** 2).sum())) < 1e-4
    assert [h["distance"] for h in hits] == sorted(h["distance"] for h in hits)


FILTERS = [
    ("n == 3", lambda r: r["n"] == 3),
    ("n in [1, 2] and price > 20", lambda r: r["n"] in (1, 2) and r["price"] is not None and r["price"] > 20),
    ("price is null", lambda r: r["price"] is None),
    ('word like "w1%" or id < 5', lambda r: r["word"] == "w1" or r["id"] < 5),
    ('doc["a"] >= 190', lambda r: r["doc"]["a"] >= 190),
    ('doc["b"]["c"] == "x2"', lambda r: r["doc"]["b"]["c"] == "x2"),
    ('array_contains(tags, "t6")', lambda r: "t6" in r["tags"]),
    ('tags[0] == "t1" and not (n > 5)', lambda r: r["tags"][0] == "t1" and r["n"] <= 5),
    ("extra % 10 == 4", lambda r: r["extra"] % 10 == 4),
    ("20 <= id < 25", lambda r: 20 <= r["id"] < 25),
]


@pytest.mark.parametrize("expr,keep", FILTERS, ids=[f[0] for f in FILTERS])
def test_filters(client, name, rng, expr, keep):
    v = create(client, name, rng=rng)
    want = sorted(r["id"] for r in rows(v) if keep(r))
    assert want, "the case must match something"
    for sealed in (False, True):
        if sealed:
            client.flush(name)
        got = client.query(name, filter=expr, output_fields=["id"], limit=1000)
        assert [r["id"] for r in got] == want
        assert client.query(name, filter=expr, output_fields=["count(*)"])[0]["count(*)"] == len(want)
        hits = client.search(name, data=[v[0].tolist()], limit=10, filter=expr)[0]
        allowed = brute(v[want], want, v[0], 10)
        assert [h["id"] for h in hits] == allowed


def test_query_returns_every_field(client, name, rng):
    v = create(client, name, rng=rng)
    for sealed in (False, True):
        if sealed:
            client.flush(name)
        r = client.get(name, ids=[7, 10])
        assert [x["id"] for x in r] == [7, 10]
        assert np.allclose(r[0]["vec"], v[7])
        assert r[0]["doc"] == {"a": 7, "b": {"c": "x3"}} and r[0]["tags"] == ["t1", "t0"] and r[0]["extra"] == 14
        assert r[0]["price"] == 3.5 and r[1]["price"] is None


def test_defaults(client, name, rng):
    client.create_collection(name, schema=rich_schema(client), index_params=index_params(client), consistency_level="Strong")
    client.insert(name, [{"id": 1, "vec": unit(rng, 1)[0].tolist(), "n": 1, "tags": []}])
    r = client.query(name, filter="id == 1", output_fields=["*"])[0]
    assert r["word"] == "none" and r["price"] is None and r["doc"] is None


def test_delete_and_upsert(client, name, rng):
    v = create(client, name, rng=rng)
    assert client.delete(name, ids=[1, 2, 3])["delete_count"] == 3
    assert client.delete(name, filter="n == 9")["delete_count"] == 20
    gone = {1, 2, 3} | {i for i in range(200) if i % 10 == 9}
    fresh = unit(rng, 2)
    client.upsert(name, [{"id": 5, "vec": fresh[0].tolist(), "n": 77, "tags": []}, {"id": 1, "vec": fresh[1].tolist(), "n": 78, "tags": []}])
    want = sorted(set(range(200)) - gone | {1})
    for sealed in (False, True):
        if sealed:
            client.flush(name)
        assert [r["id"] for r in client.query(name, filter="id >= 0", limit=1000)] == want
        assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == len(want)
        got = client.query(name, filter="id in [1, 5]", output_fields=["n", "vec"])
        assert [r["n"] for r in got] == [78, 77]
        assert np.allclose(got[1]["vec"], fresh[0])
        assert client.search(name, data=[fresh[1].tolist()], limit=1)[0][0]["id"] == 1
    # a delete that comes after the seal
    client.delete(name, ids=[5])
    assert client.query(name, filter="id == 5") == []


def test_session_reads_own_writes_through_another_proxy(name, rng, client):
    client.create_collection(name, dimension=DIM, consistency_level="Session")
    other = MilvusClient(uri=URI2)
    for i in range(20):
        client.insert(name, {"id": i, "vector": unit(rng, 1)[0].tolist()})
        assert len(client.query(name, filter=f"id == {i}")) == 1
        assert len(other.query(name, filter=f"id == {i}", consistency_level="Strong")) == 1
    other.close()


def test_every_consistency_level_answers(client, name, rng):
    create(client, name, rng=rng)
    for level in ("Strong", "Session", "Bounded", "Eventually"):
        assert len(client.search(name, data=[[0.5] * DIM], limit=5, consistency_level=level)[0]) == 5, level


def test_auto_id_and_varchar_keys(client, name, rng):
    client.create_collection(name, schema=rich_schema(client, auto_id=True), index_params=index_params(client), consistency_level="Strong")
    data = rows(unit(rng, 10))
    for r in data:
        del r["id"]
    ids = client.insert(name, data)["ids"]
    assert len(set(ids)) == 10
    assert sorted(r["id"] for r in client.query(name, filter="n >= 0", limit=100)) == sorted(ids)
    client.drop_collection(name)

    client.create_collection(name, schema=rich_schema(client, key=DataType.VARCHAR), index_params=index_params(client), consistency_level="Strong")
    data = rows(unit(rng, 10))
    for r in data:
        r["id"] = f"key-{r['id']}"
    client.insert(name, data)
    client.delete(name, ids=["key-3"])
    got = client.query(name, filter='id like "key-%"', limit=100)
    assert [r["id"] for r in got] == sorted(f"key-{i}" for i in range(10) if i != 3)


def test_partitions(client, name, rng):
    create(client, name, n=10, rng=rng)
    client.create_partition(name, "p1")
    assert sorted(client.list_partitions(name)) == ["_default", "p1"]
    v = unit(rng, 5)
    client.insert(name, rows(v, start=1000), partition_name="p1")
    assert client.has_partition(name, "p1") and not client.has_partition(name, "p2")
    assert len(client.query(name, filter="id >= 0", partition_names=["p1"], limit=100)) == 5
    assert len(client.query(name, filter="id >= 0", limit=100)) == 15
    hits = client.search(name, data=[v[0].tolist()], limit=20, partition_names=["p1"])[0]
    assert sorted(h["id"] for h in hits) == list(range(1000, 1005))
    client.release_partitions(name, ["p1"])
    client.drop_partition(name, "p1")
    assert len(client.query(name, filter="id >= 0", limit=100)) == 10


def test_aliases_rename_databases(client, name, rng):
    create(client, name, n=10, rng=rng)
    alias = name + "_a"
    client.create_alias(name, alias)
    assert len(client.query(alias, filter="id >= 0", limit=100)) == 10
    assert client.describe_alias(alias)["collection_name"] == name
    client.drop_alias(alias)
    client.rename_collection(name, name + "_r")
    assert not client.has_collection(name)
    assert len(client.query(name + "_r", filter="id >= 0", limit=100)) == 10
    client.rename_collection(name + "_r", name)

    db = "db_" + name
    client.create_database(db)
    assert db in client.list_databases()
    other = MilvusClient(uri=URI2, db_name=db)
    assert other.list_collections() == []
    other.create_collection(name, dimension=DIM)
    assert other.list_collections() == [name]
    other.drop_collection(name)
    other.close()
    client.drop_database(db)


def test_iterators(client, name, rng):
    v = create(client, name, n=500, rng=rng)
    for sealed in (False, True):
        if sealed:
            client.flush(name)
        it, got = client.query_iterator(name, filter="n < 8", batch_size=70, output_fields=["n"]), []
        while page := it.next():
            got += [r["id"] for r in page]
        it.close()
        assert got == [i for i in range(500) if i % 10 < 8]

        it, got = client.search_iterator(name, data=[v[0].tolist()], batch_size=64, limit=300), []
        while page := it.next():
            got += [h["id"] for h in page]
        it.close()
        assert len(got) == 300 and len(set(got)) == 300
        assert len(set(got) & set(brute(v, list(range(500)), v[0], 300))) >= 297


def test_hybrid_search(client, name, rng):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("a", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("b", DataType.FLOAT_VECTOR, dim=8)
    p = client.prepare_index_params()
    p.add_index("a", index_type="FLAT", metric_type="COSINE")
    p.add_index("b", index_type="HNSW", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=p, consistency_level="Strong")
    a, b = unit(rng, 100), unit(rng, 100, 8)
    client.insert(name, [{"id": i, "a": a[i].tolist(), "b": b[i].tolist()} for i in range(100)])
    qa, qb = unit(rng, 1)[0], unit(rng, 1, 8)[0]
    reqs = [AnnSearchRequest([qa.tolist()], "a", {}, limit=20), AnnSearchRequest([qb.tolist()], "b", {}, limit=20)]

    ra, rb = brute(a, list(range(100)), qa, 20), brute(b, list(range(100)), qb, 20)
    rrf = {}
    for ranked in (ra, rb):
        for rank, i in enumerate(ranked, 1):
            rrf[i] = rrf.get(i, 0) + 1 / (60 + rank)
    got = client.hybrid_search(name, reqs, ranker=RRFRanker(60), limit=5)[0]
    want = sorted(rrf, key=lambda i: -rrf[i])[:5]
    assert [round(h["distance"], 5) for h in got] == [round(rrf[i], 5) for i in want]

    got = client.hybrid_search(name, reqs, ranker=WeightedRanker(0.8, 0.2), limit=5, output_fields=["id"])[0]
    assert len(got) == 5 and got[0]["distance"] >= got[-1]["distance"]


def test_offset_and_ranges(client, name, rng):
    v = create(client, name, rng=rng, kind="FLAT", metric="L2")
    full = client.search(name, data=[v[0].tolist()], limit=20)[0]
    part = client.search(name, data=[v[0].tolist()], limit=5, offset=10)[0]
    assert [h["id"] for h in part] == [h["id"] for h in full[10:15]]
    lo, hi = full[3]["distance"], full[9]["distance"]
    ranged = client.search(name, data=[v[0].tolist()], limit=50, search_params={"params": {"radius": hi, "range_filter": lo}})[0]
    assert [h["id"] for h in ranged] == [h["id"] for h in full[3:9]]
    page = client.query(name, filter="id >= 0", limit=7, offset=5)
    assert [r["id"] for r in page] == list(range(5, 12))


def test_describe_statistics_and_states(client, name, rng):
    create(client, name, n=50, rng=rng)
    d = client.describe_collection(name)
    assert d["collection_name"] == name and d["enable_dynamic_field"] and "$meta" not in [f["name"] for f in d["fields"]]
    assert {f["name"] for f in d["fields"]} == {"id", "vec", "n", "price", "word", "doc", "tags"}
    assert client.get_collection_stats(name)["row_count"] == 50  # rows count before they are sealed, too
    client.flush(name)
    assert client.get_collection_stats(name)["row_count"] == 50
    assert client.list_indexes(name) == ["vec"]
    i = client.describe_index(name, "vec")
    assert i["index_type"] == "HNSW" and i["metric_type"] == "COSINE" and i["state"] == "Finished"
    assert "Loaded" in str(client.get_load_state(name)["state"])
    client.release_collection(name)
    assert "NotLoad" in str(client.get_load_state(name)["state"])


def test_add_field(client, name, rng):
    create(client, name, n=20, rng=rng)
    client.add_collection_field(name, "later", DataType.INT64, nullable=True)
    row = rows(unit(rng, 1), start=500)[0] | {"later": 9}
    client.insert(name, [row])
    assert [r["id"] for r in client.query(name, filter="later == 9", limit=10)] == [500]
    assert len(client.query(name, filter="later is null", limit=100)) == 20


def test_a_dropped_collection_is_gone_and_its_name_is_free(client, name, rng):
    create(client, name, n=20, rng=rng)
    client.drop_collection(name)
    v = create(client, name, n=3, rng=rng)
    assert len(client.query(name, filter="id >= 0", limit=100)) == len(v)


def test_time_is_bounded(client, name, rng):
    start = time.monotonic()
    with pytest.raises(MilvusException):
        client.search("no_such_collection_at_all", data=[[0.1] * DIM], limit=1)
    assert time.monotonic() - start < 5
