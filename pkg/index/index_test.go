package index

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func randomRows(seed uint64, n, dim int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	data := make([]float32, n*dim)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return data
}

func TestCheckSpec(t *testing.T) {
	ivf := func(kind string, params ...string) Spec {
		s := Spec{Type: kind, Metric: "L2", Dim: 8, Params: map[string]string{}}
		for i := 0; i < len(params); i += 2 {
			s.Params[params[i]] = params[i+1]
		}
		return s
	}
	hnsw := func(params ...string) Spec { return ivf("HNSW", params...) }
	for name, c := range map[string]struct {
		spec Spec
		code errs.Code
		text string
	}{
		"plain":       {hnsw(), errs.OK, ""},
		"params":      {hnsw("M", "16", "efConstruction", "200", "unknown", "x"), errs.OK, ""},
		"lower case":  {Spec{Type: "hnsw", Metric: "cosine", Dim: 8}, errs.OK, ""},
		"flat":        {Spec{Type: "FLAT", Metric: "IP", Dim: 8}, errs.OK, ""},
		"auto":        {Spec{Type: "AUTOINDEX", Metric: "COSINE", Dim: 8, Params: map[string]string{"metric_type": "COSINE"}}, errs.OK, ""},
		"empty":       {Spec{Dim: 8}, errs.OK, ""},
		"auto M":      {Spec{Type: "AUTOINDEX", Dim: 8, Params: map[string]string{"M": "8"}}, errs.InvalidParameter, "only metric type can be passed when use AutoIndex"},
		"M too big":   {hnsw("M", "9999"), errs.InvalidParameter, "Out of range in json: param 'M' (9999) should be in range [2, 2048]"},
		"M too small": {hnsw("M", "1"), errs.InvalidParameter, "param 'M' (1) should be in range [2, 2048]"},
		"M text":      {hnsw("M", "many"), errs.InvalidParameter, "param 'M' (many) should be integer"},
		"efC":         {hnsw("efConstruction", "0"), errs.InvalidParameter, "param 'efConstruction' (0)"},
		"metric":      {Spec{Type: "HNSW", Metric: "HAMMING", Dim: 8}, errs.InvalidParameter, "float vector index does not support metric type: HAMMING"},
		"nonsense":    {Spec{Type: "TREE", Metric: "L2", Dim: 8}, errs.InvalidParameter, "invalid index type: TREE"},
		"planned":     {Spec{Type: "AISAQ", Metric: "L2", Dim: 8}, errs.Unimplemented, "AISAQ"},
		"gpu":         {Spec{Type: "GPU_CAGRA", Metric: "L2", Dim: 8}, errs.InvalidParameter, "invalid index type: GPU_CAGRA. This server searches on CPUs; use HNSW instead"},
		"annoy":       {Spec{Type: "annoy", Metric: "L2", Dim: 8, Params: map[string]string{"n_trees": "10"}}, errs.OK, ""},
		"annoy trees": {Spec{Type: "ANNOY", Metric: "L2", Dim: 8, Params: map[string]string{"n_trees": "0"}}, errs.InvalidParameter, "param 'n_trees' (0) should be in range [1, 1024]"},
		"sq":          {Spec{Type: "HNSW_SQ", Metric: "L2", Dim: 8, Params: map[string]string{"sq_type": "fp16", "refine": "true", "refine_type": "FP32"}}, errs.OK, ""},
		"sq type":     {Spec{Type: "HNSW_SQ", Metric: "L2", Dim: 8, Params: map[string]string{"sq_type": "SQ7"}}, errs.InvalidParameter, "invalid sq type: SQ7"},
		"sq bytes":    {of(kernel.I8, "HNSW_SQ", "L2"), errs.InvalidParameter, "data type Int8Vector can't build with this index HNSW_SQ"},
		"hpq":         {ivf("HNSW_PQ", "m", "4", "nbits", "5", "refine", "true", "refine_type", "SQ8"), errs.OK, ""},
		"hpq m":       {ivf("HNSW_PQ"), errs.InvalidParameter, "dimension must be able to be divided by `m`, dimension: 8, m: 32"},
		"hpq nbits":   {ivf("HNSW_PQ", "m", "4", "nbits", "16"), errs.Unimplemented, "nbits 16 of HNSW_PQ is not supported by this server; use 1 to 8"},
		"hpq range":   {ivf("HNSW_PQ", "m", "4", "nbits", "17"), errs.InvalidParameter, "param 'nbits' (17) should be in range [1, 16]"},
		"hpq refine":  {ivf("HNSW_PQ", "m", "4", "refine_type", "PQ"), errs.InvalidParameter, "invalid refine type: PQ"},
		"hprq":        {ivf("HNSW_PRQ"), errs.OK, ""},
		"hprq nrq":    {ivf("HNSW_PRQ", "nrq", "65"), errs.InvalidParameter, "param 'nrq' (65) should be in range [1, 64]"},
		"hprq nbits":  {ivf("HNSW_PRQ", "nbits", "65"), errs.InvalidParameter, "param 'nbits' (65) should be in range [1, 64]"},
		"hprq bytes":  {of(kernel.I8, "HNSW_PRQ", "L2"), errs.InvalidParameter, "data type Int8Vector can't build with this index HNSW_PRQ"},
		"ivf":         {ivf("IVF_FLAT"), errs.OK, ""},
		"ivf lower":   {ivf("ivf_sq8", "nlist", "65536"), errs.OK, ""},
		"nlist 0":     {ivf("IVF_SQ8", "nlist", "0"), errs.InvalidParameter, "Out of range in json: param 'nlist' (0) should be in range [1, 65536]"},
		"nlist":       {ivf("IVF_FLAT", "nlist", "65537"), errs.InvalidParameter, "param 'nlist' (65537) should be in range [1, 65536]"},
		"pq":          {ivf("IVF_PQ", "m", "4"), errs.OK, ""},
		"pq nbits":    {ivf("ivf_pq", "m", "8", "nbits", "4"), errs.OK, ""},
		"pq no m":     {ivf("IVF_PQ"), errs.InvalidParameter, "param 'm' not exist in json"},
		"pq m":        {ivf("IVF_PQ", "m", "3"), errs.InvalidParameter, "dimension must be able to be divided by `m`, dimension: 8, m: 3"},
		"pq m 0":      {ivf("IVF_PQ", "m", "0"), errs.InvalidParameter, "param 'm' (0) should be in range [1, 65536]"},
		"pq nbits 25": {ivf("IVF_PQ", "m", "4", "nbits", "25"), errs.InvalidParameter, "param 'nbits' (25) should be in range [1, 24]"},
		"pq nbits 12": {ivf("IVF_PQ", "m", "4", "nbits", "12"), errs.Unimplemented, "nbits 12 of IVF_PQ is not supported by this server; use 1 to 8"},
		"scann":       {ivf("SCANN", "with_raw_data", "True"), errs.OK, ""},
		"scann sub":   {ivf("SCANN", "sub_dim", "3"), errs.InvalidParameter, "dimension: 8, sub_dim: 3"},
		"scann raw":   {ivf("SCANN", "with_raw_data", "maybe"), errs.InvalidParameter, "param 'with_raw_data' (maybe) should be a boolean"},
		"rabitq":      {ivf("IVF_RABITQ", "refine", "true", "refine_type", "sq8"), errs.OK, ""},
		"rabitq type": {ivf("IVF_RABITQ", "refine", "true", "refine_type", "SQ7"), errs.InvalidParameter, "invalid refine type: SQ7"},
		"nlist text":  {ivf("IVF_FLAT", "nlist", "few"), errs.InvalidParameter, "param 'nlist' (few) should be integer"},
		"dim":         {Spec{Type: "HNSW", Metric: "L2"}, errs.InvalidParameter, "invalid dimension: 0"},
		"half":        {of(kernel.F16, "IVF_SQ8", "IP"), errs.OK, ""},
		"brain":       {of(kernel.BF16, "HNSW", "COSINE"), errs.OK, ""},
		"bytes":       {of(kernel.I8, "HNSW", "L2"), errs.OK, ""},
		"bytes flat":  {of(kernel.I8, "flat", ""), errs.OK, ""},
		"bytes lists": {of(kernel.I8, "IVF_FLAT", "L2"), errs.InvalidParameter, "data type Int8Vector can't build with this index IVF_FLAT"},
		"bytes codes": {of(kernel.I8, "DISKANN", "L2"), errs.InvalidParameter, "data type Int8Vector can't build with this index DISKANN"},
		"bytes nope":  {of(kernel.I8, "TREE", "L2"), errs.InvalidParameter, "invalid index type: TREE"},
		"bytes bits":  {of(kernel.I8, "HNSW", "HAMMING"), errs.InvalidParameter, "int vector index does not support metric type: HAMMING"},
		"bits":        {of(kernel.Bit, "HNSW", "HAMMING"), errs.InvalidParameter, "data type BinaryVector can't build with this index HNSW"},
		"bits flat":   {of(kernel.Bit, "BIN_FLAT", "substructure"), errs.OK, ""},
		"bits lists":  {of(kernel.Bit, "bin_ivf_flat", ""), errs.OK, ""},
		"bits auto":   {of(kernel.Bit, "", "SUPERSTRUCTURE"), errs.OK, ""},
		"bits sub":    {of(kernel.Bit, "BIN_IVF_FLAT", "SUBSTRUCTURE"), errs.InvalidParameter, "metric type SUBSTRUCTURE not found or not supported, supported: [HAMMING JACCARD]"},
		"bits nlist":  {Spec{Type: "BIN_IVF_FLAT", Dim: 8, Elem: kernel.Bit, Params: map[string]string{"nlist": "0"}}, errs.InvalidParameter, "param 'nlist' (0) should be in range [1, 65536]"},
		"bits hash":   {of(kernel.Bit, "MINHASH_LSH", "HAMMING"), errs.Unimplemented, "use BIN_IVF_FLAT or BIN_FLAT"},
		"bits metric": {of(kernel.Bit, "BIN_FLAT", "L2"), errs.InvalidParameter, "binary vector index does not support metric type: L2"},
		"float bits":  {Spec{Type: "BIN_FLAT", Metric: "L2", Dim: 8}, errs.InvalidParameter, "data type FloatVector can't build with this index BIN_FLAT"},
		"sparse":      {Spec{Type: "SPARSE_WAND", Metric: "IP", Dim: 8}, errs.InvalidParameter, "data type FloatVector can't build with this index SPARSE_WAND"},
	} {
		err := CheckSpec(c.spec)
		if errs.CodeOf(err) != c.code || (err != nil && !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func of(e vector.Elem, kind, metric string) Spec {
	return Spec{Type: kind, Metric: metric, Dim: 8, Elem: e}
}

func TestResolve(t *testing.T) {
	got, err := Resolve(Spec{Type: "AUTOINDEX", Dim: 8})
	if err != nil || got.Type != "HNSW" || got.Metric != "COSINE" || got.Params["M"] != "18" || got.Params["efConstruction"] != "240" {
		t.Fatalf("%+v, %v", got, err)
	}
	got, err = Resolve(Spec{Type: "ivf_sq8", Metric: "l2", Dim: 8})
	if err != nil || got.Type != "IVF_SQ8" || got.Metric != "L2" || got.Params["nlist"] != "128" || len(got.Params) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, c := range []struct{ in, want map[string]string }{
		{map[string]string{"index_type": "IVF_PQ", "m": "2", "nlist": "9"}, map[string]string{"nlist": "9", "m": "2", "nbits": "8"}},
		{map[string]string{"index_type": "SCANN"}, map[string]string{"nlist": "128", "sub_dim": "2", "with_raw_data": "true"}},
		{map[string]string{"index_type": "IVF_RABITQ"}, map[string]string{"nlist": "128", "refine": "false"}},
		{map[string]string{"index_type": "IVF_RABITQ", "refine": "true", "refine_type": "fp16"}, map[string]string{"nlist": "128", "refine": "true", "refine_type": "FP16"}},
	} {
		got, err = Resolve(Spec{Type: c.in["index_type"], Metric: "IP", Dim: 8, Params: c.in})
		if err != nil || !maps.Equal(got.Params, c.want) {
			t.Fatalf("%v: %+v, %v", c.in, got, err)
		}
	}
	for metric, kind := range map[string]string{"": "BIN_IVF_FLAT", "jaccard": "BIN_IVF_FLAT", "SUBSTRUCTURE": "BIN_FLAT"} {
		got, err = Resolve(of(kernel.Bit, "AUTOINDEX", metric))
		if err != nil || got.Type != kind || got.Elem != kernel.Bit || (kind == "BIN_IVF_FLAT") != (got.Params["nlist"] == "1024") ||
			metric == "" && got.Metric != "HAMMING" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	got, err = Resolve(Spec{Type: "HNSW", Metric: "ip", Dim: 8})
	if err != nil || got.Metric != "IP" || got.Params["M"] != "30" || got.Params["efConstruction"] != "360" {
		t.Fatalf("%+v, %v", got, err)
	}
}

// TestUnbuilt: a type that is not built is refused, and never served by another.
func TestUnbuilt(t *testing.T) {
	for _, kind := range planned {
		if !takes(kind, kernel.F32) || strings.HasPrefix(kind, "GPU_") {
			continue
		}
		_, err := Resolve(Spec{Type: strings.ToLower(kind), Metric: "L2", Dim: 8, Params: map[string]string{"m": "4", "M": "24"}})
		if !errs.Is(err, errs.Unimplemented) || !strings.Contains(err.Error(), strings.ToLower(kind)) ||
			!strings.Contains(err.Error(), "use HNSW, HNSW_SQ, HNSW_PQ, HNSW_PRQ, IVF_FLAT, IVF_SQ8, IVF_PQ, IVF_RABITQ, SCANN, DISKANN or FLAT") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestParseEffort(t *testing.T) {
	spec := Spec{Type: "HNSW", Metric: "L2", Dim: 8}
	if e, err := ParseEffort(spec, map[string]string{"ef": "64"}, 10); err != nil || e.Ef != 64 {
		t.Fatal(e, err)
	}
	if e, err := ParseEffort(spec, nil, 1000); err != nil || e.Ef != 0 {
		t.Fatal(e, err)
	}
	_, err := ParseEffort(spec, map[string]string{"ef": "9"}, 10)
	if !errs.Is(err, errs.InvalidParameter) || !strings.Contains(err.Error(), "ef(9) should be larger than k(10)") {
		t.Fatal(err)
	}
	lists := Spec{Type: "IVF_FLAT", Metric: "L2", Dim: 8}
	if e, err := ParseEffort(lists, map[string]string{"nprobe": "32", "ef": "1"}, 10); err != nil || e != (Effort{NProbe: 32}) {
		t.Fatal(e, err)
	}
	if e, err := ParseEffort(lists, nil, 10); err != nil || e.NProbe != 0 {
		t.Fatal(e, err)
	}
	for _, nprobe := range []string{"0", "65537", "x"} {
		_, err := ParseEffort(lists, map[string]string{"nprobe": nprobe}, 10)
		if !errs.Is(err, errs.InvalidParameter) || !strings.Contains(err.Error(), "param 'nprobe' ("+nprobe+") should be") {
			t.Fatal(err)
		}
	}
	efforts := []struct {
		kind, name, value string
		want              Effort
		text              string
	}{
		{"SCANN", "reorder_k", "40", Effort{ReorderK: 40}, ""},
		{"SCANN", "reorder_k", "9", Effort{}, "reorder_k(9) should be larger than k(10)"},
		{"SCANN", "reorder_k", "0", Effort{}, "param 'reorder_k' (0)"},
		{"IVF_RABITQ", "refine_k", "2.5", Effort{RefineK: 2.5}, ""},
		{"IVF_RABITQ", "refine_k", "0.5", Effort{}, "param 'refine_k' (0.5) should be in range [1,"},
		{"IVF_RABITQ", "refine_k", "x", Effort{}, "param 'refine_k' (x) should be a number"},
		{"IVF_RABITQ", "rbq_bits_query", "4", Effort{QueryBits: 4}, ""},
		{"IVF_RABITQ", "rbq_query_bits", "8", Effort{QueryBits: 8}, ""},
		{"IVF_RABITQ", "rbq_bits_query", "9", Effort{}, "param 'rbq_bits_query' (9) should be in range [0, 8]"},
		{"HNSW_PQ", "refine_k", "2.5", Effort{RefineK: 2.5}, ""},
		{"HNSW_SQ", "refine_k", "2.5", Effort{}, ""},
		{"HNSW_PRQ", "ef", "9", Effort{}, "ef(9) should be larger than k(10)"},
		{"IVF_PQ", "nprobe", "7", Effort{NProbe: 7}, ""},
		{"IVF_FLAT", "max_empty_result_buckets", "0", Effort{}, "param 'max_empty_result_buckets' (0)"},
	}
	for _, c := range efforts {
		spec := Spec{Type: c.kind, Metric: "L2", Dim: 8, Params: map[string]string{"m": "4"}}
		e, err := ParseEffort(spec, map[string]string{c.name: c.value}, 10)
		if c.text == "" && (err != nil || e != c.want) || c.text != "" && (!errs.Is(err, errs.InvalidParameter) || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s %s=%s: %+v, %v", c.kind, c.name, c.value, e, err)
		}
	}
	if e, err := ParseEffort(of(kernel.Bit, "BIN_IVF_FLAT", "JACCARD"), map[string]string{"nprobe": "7"}, 10); err != nil || e.NProbe != 7 {
		t.Fatal(e, err)
	}
	if _, err := ParseEffort(of(kernel.Bit, "BIN_IVF_FLAT", ""), map[string]string{"nprobe": "0"}, 10); !errs.Is(err, errs.InvalidParameter) {
		t.Fatal(err)
	}
	if _, err := ParseEffort(Spec{Type: "FLAT", Metric: "L2", Dim: 8}, map[string]string{"ef": "1"}, 10); err != nil {
		t.Fatal(err)
	}
}

// open builds, writes and opens an index.
func open(t *testing.T, spec Spec, rows Rows) Index {
	t.Helper()
	f, err := Build(t.Context(), spec, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if n, err := f.WriteTo(&buf); err != nil || n != f.Size() || n != int64(buf.Len()) {
		t.Fatalf("wrote %d bytes of %d: %v", n, f.Size(), err)
	}
	if c, ok := f.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	x, err := Open(spec, bytes.NewReader(buf.Bytes()), int64(buf.Len()), rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// TestSame: a graph with a wide pool, all lists, a flat scan and a scan over chunks give the same rows with the same scores.
func TestSame(t *testing.T) {
	const n, dim, k = 3000, 19, 20
	data, queries := randomRows(1, n, dim), randomRows(2, 5, dim)
	rows := Block(dim, data)
	allowed := bitset.New(n)
	for i := 0; i < n; i += 3 {
		allowed.Add(i)
	}
	for _, metric := range []string{"L2", "IP", "COSINE"} {
		for _, f := range []Filter{nil, FromBitmap(allowed, -1)} {
			var all []Hits
			for _, x := range variants(t, metric, dim, data, rows) {
				h, _, err := x.Search(t.Context(), FloatQueries(queries), k, Effort{Ef: 2000, NProbe: 1000}, f)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, h)
			}
			for i, h := range all[1:] {
				for q := range h.IDs {
					if !slices.Equal(h.IDs[q], all[0].IDs[q]) || !slices.Equal(h.Scores[q], all[0].Scores[q]) {
						t.Fatalf("%s variant %d query %d differs:\n%v %v\n%v %v", metric, i+1, q, h.IDs[q], h.Scores[q], all[0].IDs[q], all[0].Scores[q])
					}
				}
			}
		}
	}
}

func variants(t *testing.T, metric string, dim int, data []float32, rows Rows) []Index {
	t.Helper()
	spec := Spec{Type: "FLAT", Metric: metric, Dim: dim}
	chunks, err := FlatChunks(spec, [][]byte{kernel.Bytes(data[:7*dim]), {}, kernel.Bytes(data[7*dim : 1000*dim]), kernel.Bytes(data[1000*dim:])}, -1)
	if err != nil {
		t.Fatal(err)
	}
	return []Index{
		open(t, spec, rows), open(t, Spec{Type: "HNSW", Metric: metric, Dim: dim}, rows), open(t, Spec{Type: "IVF_FLAT", Metric: metric, Dim: dim}, rows),
		open(t, Spec{Type: "IVF_SQ8", Metric: metric, Dim: dim}, rows), chunks,
	}
}

func TestRange(t *testing.T) {
	const n, dim = 2000, 8
	rows := Block(dim, randomRows(1, n, dim))
	query := FloatQueries(randomRows(2, 1, dim))
	for _, spec := range []Spec{{Type: "HNSW", Metric: "L2"}, {Type: "HNSW", Metric: "IP"}, {Type: "HNSW", Metric: "COSINE"}, {Type: "IVF_FLAT", Metric: "L2"}, {Type: "IVF_SQ8", Metric: "IP"}, {Type: "IVF_RABITQ", Metric: "COSINE"}, {Type: "SCANN", Metric: "L2"}} {
		spec.Dim = dim
		x := open(t, spec, rows)
		all, _, err := x.Search(t.Context(), query, n, Effort{}, nil)
		if err != nil || len(all.IDs[0]) != n {
			t.Fatal(len(all.IDs[0]), err)
		}
		metric := spec.Metric
		// The window starts at hit 10, which is included, and ends before hit 50.
		got, _, err := x.Range(t.Context(), query, all.Scores[0][50], &all.Scores[0][10], 100, Effort{}, nil)
		if err != nil || !slices.Equal(got.IDs[0], all.IDs[0][10:50]) {
			t.Fatalf("%s: %v %v", metric, got, err)
		}
		got, _, err = x.Range(t.Context(), query, all.Scores[0][50], nil, 5, Effort{}, nil)
		if err != nil || !slices.Equal(got.IDs[0], all.IDs[0][:5]) {
			t.Fatalf("%s: %v %v", metric, got, err)
		}
	}
}

func TestErrors(t *testing.T) {
	rows := Block(4, randomRows(1, 100, 4))
	spec := Spec{Type: "HNSW", Metric: "L2", Dim: 4}
	x := open(t, spec, rows)
	if _, _, err := x.Search(t.Context(), make([]byte, 16), 10, Effort{Ef: 5}, nil); !errs.Is(err, errs.InvalidParameter) {
		t.Fatal(err)
	}
	if _, _, err := x.Search(t.Context(), make([]byte, 20), 10, Effort{}, nil); !errs.Is(err, errs.InvalidParameter) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, spec, rows, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Search(t.Context(), make([]byte, 16), 1, Effort{}, nil); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
	if _, _, err := x.Range(t.Context(), make([]byte, 16), 1, nil, 1, Effort{}, nil); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
	for _, spec := range []Spec{spec, {Type: "FLAT", Metric: "L2", Dim: 4}, {Type: "IVF_FLAT", Metric: "L2", Dim: 4}, {Type: "IVF_SQ8", Metric: "L2", Dim: 4}} {
		f, err := Build(t.Context(), spec, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := f.WriteTo(&buf); err != nil {
			t.Fatal(err)
		}
		b := buf.Bytes()
		for _, other := range []Spec{{Type: spec.Type, Metric: "IP", Dim: 4}, {Type: "HNSW", Metric: "L2", Dim: 4}, {Type: "IVF_FLAT", Metric: "L2", Dim: 4}, {Type: "IVF_SQ8", Metric: "L2", Dim: 4}} {
			if other.Type == spec.Type && other.Metric == spec.Metric {
				continue
			}
			if _, err := Open(other, bytes.NewReader(b), int64(len(b)), rows); !errs.Is(err, errs.Corrupt) {
				t.Fatal(other, err)
			}
		}
		if _, err := Open(spec, bytes.NewReader(b), int64(len(b)), Block(4, make([]float32, 99*4))); !errs.Is(err, errs.Corrupt) {
			t.Fatal(err)
		}
		b[9] ^= 1
		if _, err := Open(spec, bytes.NewReader(b), int64(len(b)), rows); !errs.Is(err, errs.Corrupt) {
			t.Fatal(err)
		}
	}
}

func TestNoRows(t *testing.T) {
	for _, kind := range []string{"FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"} {
		x := open(t, Spec{Type: kind, Metric: "L2", Dim: 4}, Block(4, nil))
		h, _, err := x.Search(t.Context(), make([]byte, 32), 3, Effort{}, FromBitmap(nil, 0))
		if err != nil || len(h.IDs) != 2 || len(h.IDs[0]) != 0 {
			t.Fatal(kind, h, err)
		}
	}
}
