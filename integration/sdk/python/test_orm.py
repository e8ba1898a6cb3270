"""The older Collection API, which many programs still use: connect, create, index, load, write, search, drop."""

import uuid

import numpy as np
import pytest
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections, utility

from conftest import URI

DIM = 16


@pytest.fixture
def using():
    alias = "orm_" + uuid.uuid4().hex[:8]
    connections.connect(alias, uri=URI)
    yield alias
    connections.disconnect(alias)


@pytest.fixture
def collection(using):
    schema = CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vec", DataType.FLOAT_VECTOR, dim=DIM),
        FieldSchema("word", DataType.VARCHAR, max_length=32),
    ], description="made by test_orm")
    c = Collection("t_" + uuid.uuid4().hex[:12], schema, using=using, consistency_level="Strong")
    yield c
    c.drop()


def unit(n, seed=7):
    v = np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_the_collection_api(using, collection):
    assert utility.has_collection(collection.name, using=using)
    assert collection.name in utility.list_collections(using=using)
    assert collection.is_empty and collection.primary_field.name == "id"

    v = unit(200)
    result = collection.insert([list(range(200)), v.tolist(), [f"w{i % 3}" for i in range(200)]])
    assert result.insert_count == 200 and list(result.primary_keys) == list(range(200))
    collection.flush()
    assert collection.num_entities == 200

    collection.create_index("vec", {"index_type": "HNSW", "metric_type": "IP", "params": {"M": 16, "efConstruction": 100}})
    utility.wait_for_index_building_complete(collection.name, using=using)
    assert utility.index_building_progress(collection.name, using=using)["indexed_rows"] == 200
    assert collection.has_index() and collection.index().params["index_type"] == "HNSW"
    collection.load()
    assert utility.loading_progress(collection.name, using=using)["loading_progress"] == "100%"

    q = unit(1, seed=11)
    param = {"metric_type": "IP", "params": {"ef": 200}}
    hits = collection.search(q.tolist(), "vec", param, limit=10, output_fields=["word"])[0]
    assert list(hits.ids) == [int(i) for i in np.argsort(-(v @ q[0]))[:10]]
    assert hits[0].entity.get("word") == f"w{hits[0].id % 3}"
    hits = collection.search(q.tolist(), "vec", param, limit=10, expr='word == "w1"')[0]
    assert len(hits) == 10 and all(i % 3 == 1 for i in hits.ids)

    got = collection.query("id in [3, 5]", output_fields=["word"])
    assert [(r["id"], r["word"]) for r in got] == [(3, "w0"), (5, "w2")]
    assert collection.delete("id in [3, 5]").delete_count == 2
    assert collection.query("id in [3, 5]") == []
    assert collection.upsert([[5], v[5:6].tolist(), ["back"]]).upsert_count == 1
    assert collection.query("id in [3, 5]", output_fields=["word"])[0]["word"] == "back"

    p = collection.create_partition("p1")
    p.insert([[1000], v[:1].tolist(), ["p"]])
    assert {x.name for x in collection.partitions} == {"_default", "p1"}
    assert [r["id"] for r in collection.query("id >= 0", partition_names=["p1"])] == [1000]
    collection.release()
    collection.drop_index()
    assert not collection.has_index()


def test_an_existing_collection_opens_by_name(using, collection):
    again = Collection(collection.name, using=using)
    assert again.schema == collection.schema and again.description == "made by test_orm"
