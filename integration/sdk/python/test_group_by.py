import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusClient, MilvusException, RRFRanker

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


@pytest.fixture
def documents(client, name, rng):
    """Two vectors and a kind, in a field, in a JSON field and as a dynamic key."""
    s = client.create_schema(auto_id=False, enable_dynamic_field=True)
    s.add_field("id", DataType.INT64, is_primary=True)
    s.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    s.add_field("w", DataType.FLOAT_VECTOR, dim=DIM)
    s.add_field("kind", DataType.VARCHAR, max_length=16)
    s.add_field("doc", DataType.JSON)
    p = client.prepare_index_params()
    p.add_index("v", index_type="FLAT", metric_type="L2")
    p.add_index("w", index_type="FLAT", metric_type="IP")
    client.create_collection(name, schema=s, index_params=p, consistency_level="Strong")
    rows = []
    for i in range(1200):
        rows.append({"id": i, "v": rng.random(DIM, dtype=np.float32), "w": rng.random(DIM, dtype=np.float32), "kind": f"k{i % 30}",
                     "doc": {"number": i % 30, "deep": {"kind": [f"k{i % 30}"]}}, "color": f"k{i % 30}", "bag": {"string": f"k{i % 30}"}})
    client.insert(name, rows[:900])
    client.flush(name)
    client.insert(name, rows[900:])
    return rows


@pytest.mark.parametrize("by", ["doc['number']", 'doc["deep"]["kind"][0]', "color", "bag['string']"])
def test_groups_by_documents(client, name, documents, by):
    q = np.full(DIM, 0.2, dtype=np.float32)
    hits = client.search(name, [q], anns_field="v", limit=12, group_by_field=by, group_size=3, strict_group_size=True, output_fields=["kind"])[0]
    assert [h["id"] for h in hits] == [i for m in by_hand(documents, q, "kind", 12, 3) for i in m]
    with pytest.raises(MilvusException, match="not found"):
        client.search(name, [q], anns_field="v", limit=2, group_by_field="kind['a']")


@pytest.mark.parametrize("scorer", ["max", "sum", "avg"])
def test_groups_of_hybrid_searches(client, name, documents, scorer):
    q, u = np.full(DIM, 0.2, dtype=np.float32), np.full(DIM, 0.7, dtype=np.float32)
    requests = [AnnSearchRequest([q], "v", {}, limit=30), AnnSearchRequest([u], "w", {}, limit=30)]

    def ask(**kw):
        return client.hybrid_search(name, requests, RRFRanker(60), output_fields=["kind"], group_by_field="kind", group_size=2, strict_group_size=True,
                                    rank_group_scorer=scorer, **kw)[0]

    hits = ask(limit=30)
    groups = {}
    for h in hits:
        groups.setdefault(h["entity"]["kind"], []).append(h["distance"])
    assert len(groups) == 30 and all(len(m) == 2 for m in groups.values())
    assert [h["entity"]["kind"] for h in hits] == [k for k in groups for _ in range(2)]
    score = {"max": max, "sum": sum, "avg": lambda m: sum(m) / len(m)}[scorer]
    scores = [score(m) for m in groups.values()]
    assert scores == sorted(scores, reverse=True)
    # Each part ranks the best two of every group: these, in order of their scores.
    rank = {}
    for field in ("v", "w"):
        key = {r["id"]: float(((r["v"] - q) ** 2).sum()) if field == "v" else float(-(r["w"] * u).sum()) for r in documents}
        best = {}
        for r in sorted(documents, key=lambda r: key[r["id"]]):
            best.setdefault(r["kind"], []).append(r["id"])
        chosen = sorted((i for m in best.values() for i in m[:2]), key=key.get)
        for place, i in enumerate(chosen, 1):
            rank[i] = rank.get(i, 0) + 1 / (60 + place)
    assert all(h["distance"] == pytest.approx(rank[h["id"]], rel=1e-5) for h in hits)
    assert [h["id"] for h in ask(limit=5, offset=3)] == [h["id"] for h in hits[6:16]]


def test_unknown_scorer(client, name, documents):
    with pytest.raises(MilvusException, match="scorer"):
        client.hybrid_search(name, [AnnSearchRequest([[0.1] * DIM], "v", {}, limit=3)], RRFRanker(), limit=3, group_by_field="kind", rank_group_scorer="min")
