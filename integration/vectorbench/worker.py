"""One peer of vectorbench: a library, an index, commands as JSON lines on stdin, answers as JSON lines on stdout.

The first line is the configuration. Then {"op": "open"} builds the index or loads it from the cache, and
{"op": "search", "effort": e, "stride": s, "passes": n, "ids": bool} answers every s-th query n times. With "ids" the answer's line is
followed by queries x k row numbers as int32, -1 for none. Times are those of the search or build calls alone, measured here.
"""

import glob
import json
import os
import shutil
import sys
import time


class Unsupported(Exception):
    """The library cannot do what was asked."""


def number(params, name, default):
    return int(params.get(name, default))


class Peer:
    """What the peers share. Subclasses build, save, load and search."""

    single = False  # one query per call

    def __init__(self, conf):
        self.type, self.metric, self.params = conf["type"], conf["metric"], conf["params"]
        self.search_params = conf["search_params"]
        self.k, self.threads, self.build_threads = conf["k"], conf["threads"], conf["build_threads"]
        self.m = number(self.params, "M", 16)
        self.efc = number(self.params, "efConstruction", 200)
        self.nlist = number(self.params, "nlist", 128)

    def bytes(self, path):
        """What the index takes in memory: here its whole file."""
        return size(path)

    def l2(self):
        return self.metric == "L2"

    def graph(self):
        return self.type.startswith(("HNSW", "AUTOINDEX", "DISKANN", "ANNOY"))

    def allow(self, mask):
        raise Unsupported("its Python interface has no fast filter by row")


class Hnswlib(Peer):
    def __init__(self, conf):
        super().__init__(conf)
        import hnswlib

        self.lib = hnswlib
        if not self.graph() and self.type != "FLAT":
            raise Unsupported(f"hnswlib has nothing like {self.type}")

    def make(self, dim):
        cls = self.lib.BFIndex if self.type == "FLAT" else self.lib.Index
        self.index = cls(space="l2" if self.l2() else "ip", dim=dim)

    def build(self, rows):
        self.make(rows.shape[1])
        if self.type == "FLAT":
            self.index.init_index(max_elements=len(rows))
            self.index.add_items(rows)
            return
        self.index.init_index(max_elements=len(rows), M=self.m, ef_construction=self.efc, random_seed=100)
        self.index.add_items(rows, num_threads=self.build_threads)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path, dim):
        self.make(dim)
        self.index.load_index(path)

    def search(self, queries, effort):
        if self.type == "FLAT":
            return self.index.knn_query(queries, k=self.k, num_threads=self.threads)[0]
        self.index.set_ef(effort)
        return self.index.knn_query(queries, k=self.k, num_threads=self.threads)[0]


class Faiss(Peer):
    def __init__(self, conf):
        super().__init__(conf)
        import faiss

        self.lib, self.selector = faiss, None
        # Batches must not turn into matrix products: the question is what one query costs.
        faiss.cvar.distance_compute_blas_threshold = 1 << 30

    def make(self, d):
        f, t = self.lib, self.type
        metric = f.METRIC_L2 if self.l2() else f.METRIC_INNER_PRODUCT
        if t == "FLAT":
            return f.IndexFlat(d, metric)
        if self.graph():
            if t == "HNSW_SQ":
                index = f.IndexHNSWSQ(d, f.ScalarQuantizer.QT_8bit, self.m, metric)
            else:
                index = f.IndexHNSWFlat(d, self.m, metric)
            index.hnsw.efConstruction = self.efc
            return index
        coarse = f.IndexFlat(d, metric)
        if t == "IVF_FLAT":
            index = f.IndexIVFFlat(coarse, d, self.nlist, metric)
        elif t == "IVF_SQ8":
            index = f.IndexIVFScalarQuantizer(coarse, d, self.nlist, f.ScalarQuantizer.QT_8bit, metric)
        elif t == "IVF_PQ" and number(self.params, "nbits", 8) == 4:
            index = f.IndexIVFPQFastScan(coarse, d, self.nlist, number(self.params, "m", d // 2), 4, metric)
        elif t == "IVF_PQ":
            index = f.IndexIVFPQ(coarse, d, self.nlist, number(self.params, "m", d // 4), number(self.params, "nbits", 8), metric)
        elif t == "SCANN":
            index = f.IndexIVFPQFastScan(coarse, d, self.nlist, d // 2, 4, metric)
        elif t == "IVF_RABITQ":
            index = f.IndexIVFRaBitQFastScan(coarse, d, self.nlist, metric)
        else:
            raise Unsupported(f"faiss has nothing like {t} that is known here")
        index.own_fields = True
        coarse.this.disown()
        return index

    def refines(self):
        return self.type in ("SCANN", "IVF_RABITQ") or (self.type == "IVF_PQ" and "refine_k" in self.search_params)

    def build(self, rows):
        self.lib.omp_set_num_threads(self.build_threads)
        self.index = self.make(rows.shape[1])
        if self.refines():
            self.base = self.index
            self.index = self.lib.IndexRefineFlat(self.base)
        if not self.index.is_trained:
            self.index.train(rows)
        self.index.add(rows)

    def save(self, path):
        self.lib.write_index(self.index, path)

    def load(self, path, dim):
        self.index = self.lib.read_index(path)

    def allow(self, mask):
        import numpy as np

        self.bits = np.packbits(mask, bitorder="little")
        self.selector = self.lib.IDSelectorBitmap(self.bits)

    def effort(self, effort):
        f, sel = self.lib, {"sel": self.selector} if self.selector is not None else {}
        if self.type == "FLAT":
            return f.SearchParameters(**sel)
        if self.graph():
            return f.SearchParametersHNSW(efSearch=effort, **sel)
        inner = f.SearchParametersIVF(nprobe=min(effort, self.nlist), **sel)
        if not self.refines():
            return inner
        factor = number(self.search_params, "reorder_k", 10 * self.k) / self.k
        factor = float(self.search_params.get("refine_k", factor))
        return f.IndexRefineSearchParameters(k_factor=factor, base_index_params=inner)

    def search(self, queries, effort):
        self.lib.omp_set_num_threads(self.threads)
        params = self.effort(effort)
        if not self.single:
            return self.index.search(queries, self.k, params=params)[1]
        import numpy as np

        return np.concatenate([self.index.search(q[None], self.k, params=params)[1] for q in queries])


class Svs(Peer):
    bits = 0  # of the codes; 0: float32

    def __init__(self, conf):
        super().__init__(conf)
        import svs

        self.lib = svs
        if not self.graph():
            raise Unsupported(f"scalable-vs is measured as a graph only, not as {self.type}")
        self.distance = svs.DistanceType.L2 if self.l2() else svs.DistanceType.MIP

    def build(self, rows):
        params = self.lib.VamanaBuildParameters(graph_max_degree=2 * self.m, window_size=self.efc, alpha=1.2 if self.l2() else 0.95)
        self.index = self.lib.Vamana.build(params, rows, self.distance, num_threads=self.build_threads)

    def save(self, path):
        for part in ("config", "graph", "data"):
            os.makedirs(f"{path}/{part}", exist_ok=True)
        self.index.save(f"{path}/config", f"{path}/graph", f"{path}/data")

    def load(self, path, dim):
        data = self.lib.VectorDataLoader(f"{path}/data", self.lib.DataType.float32)
        if self.bits:
            data = self.lib.LVQLoader(data, primary=self.bits, residual=0)
        graph = self.lib.GraphLoader(f"{path}/graph")
        self.index = self.lib.Vamana(f"{path}/config", graph, data, self.distance, num_threads=self.threads)

    def search(self, queries, effort):
        self.index.search_window_size = effort
        return self.index.search(queries, self.k)[0]


class SvsLvq8(Svs):
    """The graph of Svs, built on float32, walked on 8-bit codes without a second level."""

    bits = 8

    def bytes(self, path):
        # Codes take a byte per dimension and about eight more per row for scale and offset.
        return size(f"{path}/graph") + self.index.size * (self.index.dimensions + 8)


class Qdrant(Peer):
    """Qdrant's int8 graph; twice k candidates by code are scored again with float32."""

    def __init__(self, conf):
        super().__init__(conf)
        import qdrant_edge

        self.lib, self.batches = qdrant_edge, {}
        if not self.graph():
            raise Unsupported(f"qdrant-edge is measured as a graph only, not as {self.type}")

    def config(self, dim):
        q = self.lib
        graph = q.HnswIndexConfig(m=self.m, ef_construct=self.efc, full_scan_threshold=1, max_indexing_threads=self.build_threads)
        codes = q.ScalarQuantizationConfig(type=q.ScalarType.Int8, quantile=0.99, always_ram=True)
        distance = q.Distance.Euclid if self.l2() else q.Distance.Dot
        vectors = q.EdgeVectorParams(size=dim, distance=distance, hnsw_config=graph, quantization_config=codes)
        # One segment with a graph, however small: the comparison is of graphs.
        one = q.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=1 << 30, indexing_threshold=1)
        return q.EdgeConfig(vectors={"": vectors}, optimizers=one, max_search_threads=self.threads)

    def build(self, rows):
        q, self.path = self.lib, self.work + "/shard"
        shutil.rmtree(self.path, ignore_errors=True)
        self.index = q.EdgeShard.create(self.path, self.config(rows.shape[1]))
        for i in range(0, len(rows), 1000):
            points = [q.Point(i + j, r.tolist(), {}) for j, r in enumerate(rows[i : i + 1000])]
            self.index.update(q.UpdateOperation.upsert_points(points))
        while self.index.optimize():
            pass

    def save(self, path):
        self.index.flush()
        self.index.close()
        shutil.move(self.path, path)

    def bytes(self, path):
        return size(f"{path}/segments")  # beside them lies a log, preallocated

    def load(self, path, dim):
        self.index = self.lib.EdgeShard.load(path, self.config(dim))

    def search(self, queries, effort):
        import numpy as np

        answers = self.index.query_batch(self.batch(queries, effort))
        out = np.full((len(queries), self.k), -1, np.int64)
        for row, hits in zip(out, answers):
            row[: len(hits)] = [h.id for h in hits]
        return out

    def batch(self, queries, effort):
        """Queries as the library wants them, made once: their making is not the engine's work."""
        key = (id(queries), effort)
        if key not in self.batches:
            q = self.lib
            codes = q.QuantizationSearchParams(rescore=True, oversampling=2.0)
            params = q.SearchParams(hnsw_ef=effort, exact=False, quantization=codes)
            requests = [q.QueryRequest(query=q.Query.Nearest(v.tolist()), limit=self.k, params=params) for v in queries]
            self.batches[key] = q.QueryBatchRequest(requests)
        return self.batches[key]


PEERS = {"hnswlib": Hnswlib, "faiss": Faiss, "svs": Svs, "svs-lvq8": SvsLvq8, "qdrant": Qdrant}


def size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(f) for f in glob.glob(path + "/**/*", recursive=True) if os.path.isfile(f))


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


class Worker:
    def __init__(self, conf):
        import numpy as np

        self.np, self.conf = np, conf
        self.peer = PEERS[conf["peer"]](conf)
        self.peer.single = conf["single"]
        self.peer.work = conf["tmp"]
        self.queries = np.load(conf["queries"])
        self.parts = {}
        if conf["filter"]:
            self.peer.allow(np.load(conf["filter"])[:, 0])

    def open(self, _):
        """Builds the index if the cache lacks it, and opens it from the file."""
        path = self.conf["index"]
        record = path + ".json"
        if not os.path.exists(record):
            self.build(path, record)
        with open(record) as f:
            answer = json.load(f)
        self.peer.load(path, self.queries.shape[1])
        answer["bytes"], answer["file_bytes"] = self.peer.bytes(path), size(path)
        return answer, None

    def build(self, path, record):
        rows = self.np.load(self.conf["rows"])
        cpu, wall = time.process_time(), time.perf_counter()
        self.peer.build(rows)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        new = f"{path}.new{os.getpid()}"
        remove(new)
        self.peer.save(new)
        self.peer.index = None
        remove(path)
        os.rename(new, path)
        answer = {"cpu_s": cpu, "wall_s": wall, "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
        with open(record + ".new", "w") as f:
            json.dump(answer, f)
        os.rename(record + ".new", record)

    def part(self, stride):
        """Every stride-th query, and the first of those to warm up with."""
        if stride not in self.parts:
            queries = self.np.ascontiguousarray(self.queries[::stride])
            self.parts[stride] = queries, queries[: min(self.conf["warm"], len(queries) // 4 + 1)].copy()
        return self.parts[stride]

    def search(self, command):
        effort, passes = command["effort"], command["passes"]
        queries, warm = self.part(command["stride"])
        self.peer.search(warm, effort)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(passes):
            ids = self.peer.search(queries, effort)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        raw = None
        if command["ids"]:
            raw = self.np.ascontiguousarray(ids.astype(self.np.int64), dtype="<i4").tobytes()
        return {"cpu_s": cpu, "wall_s": wall, "raw": len(raw) if raw else 0}, raw


def main():
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to stderr

    def answer(message, raw=None):
        out.write(json.dumps(message).encode() + b"\n" + (raw or b""))
        out.flush()

    try:
        worker = Worker(json.loads(sys.stdin.readline()))
        answer({})
        for line in sys.stdin:
            command = json.loads(line)
            answer(*getattr(worker, command["op"])(command))
    except Unsupported as e:
        answer({"error": str(e)})
    except Exception as e:  # the program that reads this says what it was doing
        answer({"error": f"{type(e).__name__}: {e}"})
        raise


if __name__ == "__main__":
    main()
