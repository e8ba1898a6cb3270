import os
import uuid

import numpy as np
import pytest
from pymilvus import MilvusClient

URI = os.environ.get("GYR_URI", "http://127.0.0.1:19530")
# A second proxy of the same cluster, when there is one.
URI2 = os.environ.get("GYR_URI2", URI)


@pytest.fixture
def client():
    c = MilvusClient(uri=URI)
    yield c
    c.close()


@pytest.fixture
def name(client):
    n = "t_" + uuid.uuid4().hex[:12]
    yield n
    client.drop_collection(n)


@pytest.fixture
def rng():
    return np.random.default_rng(7)
