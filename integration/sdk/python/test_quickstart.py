"""The guide's quick start, with the uri and the elided vectors filled in."""

from pymilvus import MilvusClient

from conftest import URI


def test_quickstart_of_the_guide():
    client = MilvusClient(uri=URI)
    if client.has_collection("demo_collection"):
        client.drop_collection("demo_collection")

    client.create_collection(
        collection_name="demo_collection",
        dimension=384,  # Match your embedding model
    )

    vectors = [[0.1, 0.2] + [0.01 * i for i in range(382)], [0.3, 0.4] + [0.02] * 382]
    data = [{"id": 1, "vector": v, "text": "sample"} for v in vectors]
    inserted = client.insert("demo_collection", data)
    assert inserted["insert_count"] == 2

    query_vector = [vectors[0]]
    results = client.search(collection_name="demo_collection", data=query_vector, limit=5)
    # Both rows carry the key 1, and a search returns a key once.
    assert len(results) == 1
    assert [hit["id"] for hit in results[0]] == [1]
    client.drop_collection("demo_collection")
    assert not client.has_collection("demo_collection")
