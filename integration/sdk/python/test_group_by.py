import numpy as np
import pytest
from pymilvus import DataType, MilvusClient, MilvusException

from conftest import URI2

DIM, ROWS = 8, 3000


@pytest.fixture
def grouped(client, name, rng):
    """Rows in groups of very different sizes: 2,000 of "big" nearest to the query, the rest in 20 groups, some without."""
    s = client.create_schema(auto_id=False)
    s.add_field("id", DataType.INT64, is_primary=True)
    s.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    s.add_field("kind", DataType.VARCHAR, max_length=16, nullable=True)
    s.add_field("year", DataType.INT16)
    s.add_field("price", DataType.FLOAT)
    p = client.prepare_index_params()
    p.add_index("v", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 100})
    client.create_collection(name, schema=s, index_params=p, consistency_level="Strong")
    rows = []
    for i in range(ROWS):
        big = i < 2000
        v = rng.random(DIM) * 0.01 if big else rng.random(DIM) + 0.5
        kind = "big" if big else None if i % 7 == 0 else f"k{i % 20}"
        rows.append({"id": i, "v": v.astype(np.float32), "kind": kind, "year": 2000 + i % 5, "price": 1.5})
    for at in range(0, 2500, 500):
        client.insert(name, rows[at : at + 500])
    client.flush(name)
    client.insert(name, rows[2500:])
    return rows


def by_hand(rows, q, field, limit, size, offset=0):
    order = sorted(rows, key=lambda r: (float(((r["v"] - q) ** 2).sum()), r["id"]))
    groups = {}
    for r in order:
        groups.setdefault(r[field], []).append(r["id"])
    return [m[:size] for m in list(groups.values())[offset : offset + limit]]


@pytest.mark.parametrize("field", ["kind", "year"])
@pytest.mark.parametrize("size,strict", [(1, False), (3, True)])
def test_groups(client, name, grouped, field, size, strict):
    queries = [np.zeros(DIM, dtype=np.float32), np.full(DIM, 0.9, dtype=np.float32)]
    res = client.search(name, queries, limit=8, group_by_field=field, group_size=size, strict_group_size=strict, output_fields=[field, "id"],
                        search_params={"params": {"ef": 400}})
    for q, hits in zip(queries, res):
        want = by_hand(grouped, q, field, 8, size)
        assert [h["id"] for h in hits] == [i for m in want for i in m]
        value = {r["id"]: r[field] for r in grouped}
        assert all(h["entity"][field] == value[h["id"]] for h in hits)


def test_pages_filters_and_a_second_proxy(client, name, grouped):
    q = np.zeros(DIM, dtype=np.float32)
    other = MilvusClient(uri=URI2)
    first = other.search(name, [q], limit=5, group_by_field="kind", filter="year in [2001, 2003]")[0]
    rows = [r for r in grouped if r["year"] in (2001, 2003)]
    assert [h["id"] for h in first] == [m[0] for m in by_hand(rows, q, "kind", 5, 1)]
    page = other.search(name, [q], limit=5, offset=3, group_by_field="kind", filter="year in [2001, 2003]")[0]
    assert [h["id"] for h in page] == [m[0] for m in by_hand(rows, q, "kind", 5, 1, offset=3)]
    everything = other.search(name, [q], limit=100, group_by_field="kind")[0]
    assert len(everything) == 22  # big, k0 to k19, and the rows without a kind
    other.close()


@pytest.mark.parametrize(
    "args,text",
    [
        ({"group_by_field": "price"}, "unsupported data type"),
        ({"group_by_field": "nothing"}, "not found"),
        ({"group_by_field": "kind", "group_size": 11}, "group_size"),
        ({"group_by_field": "kind", "search_params": {"params": {"radius": 1.0}}}, "range-search"),
    ],
)
def test_refusals(client, name, grouped, args, text):
    with pytest.raises(MilvusException) as e:
        client.search(name, [np.zeros(DIM, dtype=np.float32)], limit=3, **args)
    assert text in str(e.value)
    assert e.value.code == 1100
