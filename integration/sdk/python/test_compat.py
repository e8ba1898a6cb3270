"""What programs written for the API do and a server gets wrong easily."""

import time

import pytest
from pymilvus import DataType, MilvusClient, MilvusException

try:
    from pymilvus import FieldOp
except ImportError:  # older SDKs
    FieldOp = None

DIM = 4


def vec(i):
    return [float(i), 1.0, 2.0, 3.0]


def make(client, name, add, dynamic=False, index="FLAT", **params):
    schema = MilvusClient.create_schema(enable_dynamic_field=dynamic)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=DIM)
    add(schema)
    indexes = client.prepare_index_params()
    indexes.add_index("vec", index_type=index, metric_type="L2", **params)
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")


@pytest.mark.parametrize("kind", ["IVF_FLAT", "IVF_SQ8"])
def test_list_indexes(client, name, kind):
    make(client, name, lambda s: None, index=kind, params={"nlist": 32})
    shown = client.describe_index(name, "vec")
    assert (shown["index_type"], shown["nlist"]) == (kind, "32")
    client.insert(name, [{"id": i, "vec": vec(i)} for i in range(3000)])
    client.flush(name)
    until = time.time() + 30
    while client.describe_index(name, "vec")["indexed_rows"] < 3000:
        assert time.time() < until, client.describe_index(name, "vec")
        time.sleep(0.2)
    for nprobe in (1, 32):
        hits = client.search(name, [vec(7), vec(2500)], limit=3, search_params={"params": {"nprobe": nprobe}})
        assert [(q[0]["id"], q[0]["distance"], len(q)) for q in hits] == [(7, 0, 3), (2500, 0, 3)]
    with pytest.raises(MilvusException, match="param 'nprobe' \\(0\\) should be in range") as refused:
        client.search(name, [vec(7)], limit=3, search_params={"params": {"nprobe": 0}})
    assert refused.value.code == 1100


def test_disk_index(client, name):
    make(client, name, lambda s: None, index="DISKANN", params={"max_degree": 24, "search_list_size": 64})
    shown = client.describe_index(name, "vec")
    assert (shown["index_type"], shown["max_degree"]) == ("DISKANN", "24")
    client.insert(name, [{"id": i, "vec": vec(i)} for i in range(3000)])
    client.flush(name)
    until = time.time() + 30
    while client.describe_index(name, "vec")["indexed_rows"] < 3000:
        assert time.time() < until, client.describe_index(name, "vec")
        time.sleep(0.2)
    client.release_collection(name)
    client.load_collection(name)
    for params in ({}, {"search_list": 20}):
        hits = client.search(name, [vec(7), vec(2500)], limit=3, search_params={"params": params}, output_fields=["vec"])
        assert [(q[0]["id"], q[0]["distance"], len(q)) for q in hits] == [(7, 0, 3), (2500, 0, 3)]
        assert hits[0][0]["entity"]["vec"] == vec(7)
    hits = client.search(name, [vec(7)], limit=3, filter="id in [1, 2, 2999]", search_params={"params": {"search_list": 20}})
    assert sorted(h["id"] for h in hits[0]) == [1, 2, 2999]
    hits = client.search(name, [vec(7)], limit=3, search_params={"params": {"radius": 1e-6, "range_filter": 0.0}})
    assert [h["id"] for h in hits[0]] == [7]
    with pytest.raises(MilvusException, match="search_list_size\\(2\\) should be larger than k\\(3\\)") as refused:
        client.search(name, [vec(7)], limit=3, search_params={"params": {"search_list": 2}})
    assert refused.value.code == 1100


@pytest.mark.parametrize("kind, params", [
    ("AISAQ", {}), ("DISKANN_RABITQ", {}),
])
def test_index_types_that_are_not_built(client, name, kind, params):
    with pytest.raises(MilvusException, match=f"index type {kind} is not supported by this server; use HNSW") as refused:
        make(client, name, lambda s: None, index=kind, params=params)
    assert refused.value.code == 10


def test_aliases_and_names(client, name):
    client.drop_alias("alias_that_is_not_there_" + name)
    for call in (client.describe_collection, client.load_collection, client.drop_collection):
        with pytest.raises(MilvusException, match="Invalid collection name: 12-s. the first character"):
            call("12-s")
    make(client, name, lambda s: None)
    with pytest.raises(MilvusException, match="Invalid partition name: 12 s"):
        client.drop_partition(name, "12 s")


def test_index_per_path(client, name):
    make(client, name, lambda s: s.add_field("doc", DataType.JSON), dynamic=True)
    indexes = client.prepare_index_params()
    for field, path in (("doc", "doc['a']"), ("doc", "doc['a']['b']"), ("key", "key")):
        indexes.add_index(field, index_name="i" + str(len(indexes)), index_type="INVERTED",
                          params={"json_cast_type": "DOUBLE", "json_path": path})
    for _ in range(2):
        client.create_index(name, indexes)
    shown = [client.describe_index(name, f"i{i}") for i in range(3)]
    assert [(x["field_name"], x["json_path"]) for x in shown] == [("doc", "doc['a']"), ("doc", "doc['a']['b']"), ("key", "key")]
    client.insert(name, [{"id": i, "vec": vec(i), "doc": {"a": {"b": i}}, "key": i} for i in range(5)])
    assert [r["id"] for r in client.query(name, filter="doc['a']['b'] > 2 and key < 4")] == [3]


def test_times_and_geometries(client, name):
    def add(schema):
        schema.add_field("at", DataType.TIMESTAMPTZ, nullable=True)
        schema.add_field("place", DataType.GEOMETRY, nullable=True)
    make(client, name, add)
    client.insert(name, [
        {"id": 1, "vec": vec(1), "at": "2025-01-02T03:04:05+08:00", "place": "POINT (1 2)"},
        {"id": 2, "vec": vec(2), "at": None, "place": None},
    ])
    for rows in (client.query(name, filter="id > 0"), [h["entity"] for h in client.search(name, [vec(1)], limit=2, output_fields=["*"])[0]]):
        assert [(r["at"], r["place"]) for r in rows] == [("2025-01-01T19:04:05Z", "POINT (1 2)"), (None, None)]
    assert client.query(name, filter="id == 1", timezone="Asia/Shanghai")[0]["at"] == "2025-01-02T03:04:05+08:00"
    with pytest.raises(MilvusException, match="no valid WKT"):
        client.insert(name, [{"id": 3, "vec": vec(3), "place": "somewhere"}])


@pytest.mark.skipif(FieldOp is None, reason="the SDK has no field operations")
def test_operations_on_arrays(client, name):
    make(client, name, lambda s: s.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4, nullable=True))
    client.insert(name, [{"id": 1, "vec": vec(1), "tags": [1, 2, 1]}, {"id": 2, "vec": vec(2), "tags": None}])
    client.upsert(name, [{"id": 1, "tags": [3]}, {"id": 2, "tags": [4]}], field_ops={"tags": FieldOp.array_append()})
    assert [r["tags"] for r in client.query(name, filter="id > 0")] == [[1, 2, 1, 3], [4]]
    client.upsert(name, [{"id": 1, "tags": [1]}], field_ops={"tags": FieldOp.array_remove()})
    assert client.query(name, filter="id == 1")[0]["tags"] == [2, 3]
    with pytest.raises(MilvusException, match="array length 6 exceeds max_capacity 4"):
        client.upsert(name, [{"id": 1, "tags": [7, 7, 7, 7]}], field_ops={"tags": FieldOp.array_append()})


def test_filters_on_times(client, name):
    make(client, name, lambda s: s.add_field("at", DataType.TIMESTAMPTZ))
    client.insert(name, [{"id": i, "vec": vec(i), "at": f"2025-01-0{i}T00:00:00Z"} for i in range(1, 5)])
    for text, ids in (
        ("at > ISO '2025-01-02T08:00:00+08:00'", [3, 4]), ("at + INTERVAL 'P1D' <= ISO '2025-01-03T00:00:00Z'", [1, 2]),
        ("at == ISO '2025-01-02 00:00:00'", [2]),
    ):
        assert [r["id"] for r in client.query(name, filter=text)] == ids
    assert [r["id"] for r in client.query(name, filter="at == ISO '2025-01-02 08:00:00'", timezone="Asia/Shanghai")] == [2]


@pytest.mark.skipif(not hasattr(MilvusClient, "truncate_collection"), reason="the SDK has no truncate_collection")
def test_truncate_collection(client, name):
    make(client, name, lambda s: s.add_field("n", DataType.INT64))
    client.create_partition(name, "side")
    client.insert(name, [{"id": i, "vec": vec(i), "n": i} for i in range(300)])
    client.flush(name)
    client.insert(name, [{"id": i, "vec": vec(i), "n": i} for i in range(300, 400)], partition_name="side")
    client.truncate_collection(name)
    assert client.query(name, filter="", output_fields=["count(*)"]) == [{"count(*)": 0}]
    assert client.search(name, [vec(7)], limit=3) == [[]]
    assert client.get_collection_stats(name)["row_count"] == 0
    assert sorted(client.list_partitions(name)) == ["_default", "side"]
    assert client.list_indexes(name) == ["vec"]
    client.insert(name, [{"id": 7, "vec": vec(7), "n": 1}])
    assert client.query(name, filter="n >= 0", output_fields=["n"]) == [{"id": 7, "n": 1}]
    with pytest.raises(MilvusException):
        client.truncate_collection(name + "_missing")


def test_upsert_stays_in_its_partition(client, name):
    make(client, name, lambda s: s.add_field("n", DataType.INT64))
    client.create_partition(name, "side")
    for partition, n in (("_default", 1), ("side", 2)):
        client.insert(name, [{"id": i, "vec": vec(i), "n": n} for i in range(10)], partition_name=partition)

    def held(partition):
        rows = client.query(name, filter="id >= 0", output_fields=["n"], partition_names=[partition])
        return [r["n"] for r in sorted(rows, key=lambda r: r["id"])]

    client.flush(name)
    client.upsert(name, [{"id": 3, "vec": vec(3), "n": 30}], partition_name="side")
    client.upsert(name, [{"id": 4, "vec": vec(4), "n": 40}])

    def check():
        assert held("_default") == [1, 1, 1, 1, 40, 1, 1, 1, 1, 1]
        assert held("side") == [2, 2, 2, 30, 2, 2, 2, 2, 2, 2]

    check()
    client.flush(name)
    check()
    client.release_collection(name)
    client.load_collection(name)
    check()
