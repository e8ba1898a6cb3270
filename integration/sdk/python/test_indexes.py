"""Every index type over every vector type that it takes, through its whole life, against exact neighbours by numpy."""

import os
import time

import numpy as np
import pytest
from pymilvus import DataType, MilvusException

from conftest import URI, URI2

DIM, ROWS, K = 32, 3000, 10

FLOATS = [DataType.FLOAT_VECTOR, DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR]
# type: build parameters, search parameters, least recall at 10
KINDS = {
    "FLAT": ({}, {}, 1.0),
    "HNSW": ({"M": 16, "efConstruction": 100}, {"ef": 100}, 0.95),
    "HNSW_SQ": ({"M": 16, "efConstruction": 100, "sq_type": "SQ8", "refine": True, "refine_type": "FP32"}, {"ef": 100, "refine_k": 2}, 0.95),
    "HNSW_PQ": ({"M": 16, "efConstruction": 100, "m": 16, "nbits": 8, "refine": True, "refine_type": "FP32"}, {"ef": 100, "refine_k": 5}, 0.95),
    "HNSW_PRQ": ({"M": 16, "efConstruction": 100, "m": 2, "nrq": 6, "nbits": 8}, {"ef": 100}, 0.95),
    "AUTOINDEX": ({}, {}, 0.95),
    "ANNOY": ({"n_trees": 10}, {"search_k": -1}, 0.9),
    "IVF_FLAT": ({"nlist": 32}, {"nprobe": 16}, 0.9),
    "IVF_SQ8": ({"nlist": 32}, {"nprobe": 16}, 0.9),
    "IVF_PQ": ({"nlist": 32, "m": 16, "nbits": 8}, {"nprobe": 16}, 0.85),
    "IVF_RABITQ": ({"nlist": 32, "refine": True, "refine_type": "SQ8"}, {"nprobe": 16, "rbq_bits_query": 0}, 0.9),
    "SCANN": ({"nlist": 32, "with_raw_data": True}, {"nprobe": 16, "reorder_k": 100}, 0.85),
    "DISKANN": ({}, {"search_list": 100}, 0.95),
}
# Two proxies mean a cluster, where what a type of vector changes has been seen on a standalone already.
if URI != URI2 and not os.environ.get("GYR_LONG"):
    FLOATS = FLOATS[:1]
# How rows are decoded is one piece of code for all types, so a few of them stand for the rest in a short run.
TYPICAL = ("FLAT", "HNSW", "IVF_FLAT", "DISKANN")
CASES = [(kind, t) for kind in KINDS for t in (FLOATS if kind in TYPICAL or os.environ.get("GYR_LONG") else FLOATS[:1])] + [(kind, DataType.INT8_VECTOR) for kind in ("FLAT", "HNSW", "AUTOINDEX")]


def clustered(rng, n):
    centres = np.random.default_rng(40).standard_normal((40, DIM)) * 2  # the same for rows and queries
    return (centres[rng.integers(0, 40, n)] + rng.standard_normal((n, DIM))).astype(np.float32)


def cast(t, x):
    """The rows as they are sent, and the numbers that the server sees."""
    if t == DataType.FLOAT16_VECTOR:
        half = x.astype(np.float16)
        return list(half), half.astype(np.float32)
    if t == DataType.BFLOAT16_VECTOR:
        bits = x.view(np.uint32) >> 16
        return [row.astype(np.uint16).tobytes() for row in bits], (bits << 16).view(np.float32)
    if t == DataType.INT8_VECTOR:
        byte = np.clip(np.rint(x * 20), -128, 127).astype(np.int8)
        return list(byte), byte.astype(np.float32)
    return list(x), x


def settled(client, name, index, timeout=60):
    end = time.time() + timeout
    while time.time() < end:
        d = client.describe_index(name, index)
        if d["state"] == "Finished" and d["pending_index_rows"] == 0:
            return d
        time.sleep(0.1)
    raise AssertionError(f"the index was not built: {d}")


def found(client, name, queries, params, **more):
    res = client.search(name, queries, limit=K, search_params={"params": params}, **more)
    return [[h["id"] for h in hits] for hits in res], [[h["distance"] for h in hits] for hits in res]


def recall(got, numbers, q, allowed=None):
    ids = np.arange(len(numbers)) if allowed is None else allowed
    d = ((numbers[ids][None] - q[:, None]) ** 2).sum(-1)
    order = np.take_along_axis(d, np.argsort(d, axis=1)[:, :K], axis=1)
    hits = 0
    for i, row in enumerate(got):
        mine = ((numbers[row] - q[i]) ** 2).sum(-1)
        hits += int((mine <= order[i][-1] * (1 + 1e-5)).sum())
    return hits / (len(q) * K)


@pytest.mark.parametrize("kind,t", CASES, ids=lambda v: v if isinstance(v, str) else v.name)
def test_life(client, name, rng, kind, t):
    build, search, least = KINDS[kind]
    sent, numbers = cast(t, clustered(rng, ROWS))
    queries, q = cast(t, clustered(rng, 20))
    if t == DataType.BFLOAT16_VECTOR:
        queries = list(q)  # numpy has no bfloat16; float queries become the field's type
    s = client.create_schema(auto_id=False)
    s.add_field("id", DataType.INT64, is_primary=True)
    s.add_field("v", t, dim=DIM)
    s.add_field("half", DataType.INT64)
    p = client.prepare_index_params()
    p.add_index("v", index_type=kind, metric_type="L2", params=build)
    client.create_collection(name, schema=s, index_params=p, consistency_level="Strong")
    for at in range(0, ROWS, 1000):
        client.insert(name, [{"id": i, "v": sent[i], "half": i % 2} for i in range(at, at + 1000)])
    growing, _ = found(client, name, queries, search)
    assert recall(growing, numbers, q) == 1.0, "rows that are not sealed are searched exactly"
    client.flush(name)
    d = settled(client, name, "v")
    assert d["index_type"] == kind and d["metric_type"] == "L2" and d["total_rows"] == ROWS
    for key, value in build.items():
        assert d[key] == str(value) or d[key].lower() == str(value).lower()
    assert ("served_by" in d) == (kind in ("ANNOY", "HNSW_SQ"))

    def check(when):
        got, scores = found(client, name, queries, search)
        assert recall(got, numbers, q) >= least, (when, recall(got, numbers, q))
        for i, row in enumerate(got):  # what is reported is exact, whatever codes the index walks by
            assert np.allclose(scores[i], ((numbers[row] - q[i]) ** 2).sum(-1), rtol=1e-4, atol=1e-3), when
            assert scores[i] == sorted(scores[i]), when
        odd, _ = found(client, name, queries, search, filter="half == 1")
        assert all(i % 2 == 1 for row in odd for i in row)
        assert recall(odd, numbers, q, np.arange(1, ROWS, 2)) >= least - 0.05, when

    time.sleep(0.5)  # for the querynode to take the index
    check("built")
    radius = float(np.sort(((numbers - q[0]) ** 2).sum(-1))[5]) * (1 + 1e-5)
    near = client.search(name, [queries[0]], limit=100, search_params={"params": {"radius": radius}})[0]
    assert len(near) == 6
    if kind not in ("FLAT",):
        got, _ = found(client, name, queries, {"target_recall": 0.95})
        assert recall(got, numbers, q) >= 0.9
    client.release_collection(name)
    client.load_collection(name)
    check("loaded again")
    client.delete(name, filter="id < 300")
    got, _ = found(client, name, queries, search)
    assert all(i >= 300 for row in got for i in row)
    client.release_collection(name)
    client.drop_index(name, "v")
    client.create_index(name, p)
    client.load_collection(name)
    got, _ = found(client, name, queries, search)
    assert recall(got, numbers, q, np.arange(300, ROWS)) >= least


@pytest.mark.parametrize("kind,metric", [("BIN_FLAT", "HAMMING"), ("BIN_FLAT", "JACCARD"), ("BIN_IVF_FLAT", "HAMMING"), ("BIN_IVF_FLAT", "JACCARD")])
def test_binary(client, name, rng, kind, metric):
    bits = (rng.random((ROWS, 128)) < 0.3).astype(np.uint8)
    rows = np.packbits(bits, axis=1, bitorder="little")
    s = client.create_schema(auto_id=False)
    s.add_field("id", DataType.INT64, is_primary=True)
    s.add_field("v", DataType.BINARY_VECTOR, dim=128)
    p = client.prepare_index_params()
    p.add_index("v", index_type=kind, metric_type=metric, params={"nlist": 16} if kind == "BIN_IVF_FLAT" else {})
    client.create_collection(name, schema=s, index_params=p, consistency_level="Strong")
    client.insert(name, [{"id": i, "v": rows[i].tobytes()} for i in range(ROWS)])
    client.flush(name)
    settled(client, name, "v")
    res = client.search(name, [rows[i].tobytes() for i in range(5)], limit=K, search_params={"params": {"nprobe": 16}})
    for i, hits in enumerate(res):
        both, either = (bits & bits[i]).sum(1), (bits | bits[i]).sum(1)
        d = (bits ^ bits[i]).sum(1) if metric == "HAMMING" else 1 - both / either
        assert np.allclose(sorted(d)[:K], [h["distance"] for h in hits], atol=1e-5)
        assert hits[0]["id"] == i


@pytest.mark.parametrize("kind,instead", [("GPU_CAGRA", "HNSW"), ("GPU_IVF_FLAT", "IVF_FLAT"), ("GPU_IVF_PQ", "SCANN"), ("GPU_BRUTE_FORCE", "FLAT")])
def test_gpu_names(client, name, kind, instead):
    s = client.create_schema(auto_id=False)
    s.add_field("id", DataType.INT64, is_primary=True)
    s.add_field("v", DataType.FLOAT_VECTOR, dim=8)
    client.create_collection(name, schema=s)
    p = client.prepare_index_params()
    p.add_index("v", index_type=kind, metric_type="L2", params={})
    with pytest.raises(MilvusException) as e:
        client.create_index(name, p)
    assert e.value.code == 1100 and f"invalid index type: {kind}" in str(e.value) and instead in str(e.value)
