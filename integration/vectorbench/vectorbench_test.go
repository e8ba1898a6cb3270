package vectorbench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	testRows, testDim, testAsks = 3000, 24, 60
)

// drawVectors are clustered, so that indexes have something to find.
func drawVectors(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 3))
	centres := rand.New(rand.NewPCG(9, 9))
	var c [40 * testDim]float64
	for i := range c {
		c[i] = centres.NormFloat64() * 2
	}
	out := make([]float32, 0, n*testDim)
	for range n {
		at := r.IntN(40) * testDim
		for d := range testDim {
			out = append(out, float32(c[at+d]+r.NormFloat64()))
		}
	}
	return out
}

func toHalf(f float32) uint16 {
	// Every half whose float is nearest is found by search: slow and plainly right.
	best, at := math.Inf(1), uint16(0)
	b := math.Float32bits(f)
	guess := int(b>>16&0x8000) | max(0, min(30, int(b>>23&255)-112))<<10 | int(b>>13&1023)
	for h := guess - 2; h <= guess+2; h++ {
		if h < 0 || h > 0xffff {
			continue
		}
		if d := math.Abs(float64(halfToFloat(uint16(h))) - float64(f)); d < best {
			best, at = d, uint16(h)
		}
	}
	return at
}

// saveNpy writes an npy file the way numpy does, with none of the package's own code.
func saveNpy(t *testing.T, path, descr string, rows, cols int, data any) {
	t.Helper()
	var body bytes.Buffer
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }", descr, rows, cols)
	header += strings.Repeat(" ", 118-len(header)-1) + "\n"
	body.WriteString("\x93NUMPY\x01\x00")
	for _, part := range []any{uint16(len(header)), []byte(header), data} {
		if err := binary.Write(&body, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, body.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// embeddingsDir has the layout embeddings.f16, queries.f32, without truth.
func embeddingsDir(t *testing.T) string {
	dir := t.TempDir()
	var halves []uint16
	for _, x := range drawVectors(1, testRows) {
		halves = append(halves, toHalf(x))
	}
	saveNpy(t, filepath.Join(dir, "embeddings.f16.npy"), "<f2", testRows, testDim, halves)
	saveNpy(t, filepath.Join(dir, "queries.f32.npy"), "<f4", testAsks, testDim, drawVectors(2, testAsks))
	return dir
}

func toBytes(in []float32) []uint8 {
	out := make([]uint8, len(in))
	for i, x := range in {
		out[i] = uint8(max(0, min(255, math.Round(float64(x)*16+100))))
	}
	return out
}

// baseDir has the layout base.u8, query.u8, gt_ids, with the truth by plain arithmetic.
func baseDir(t *testing.T) string {
	dir := t.TempDir()
	base, query := toBytes(drawVectors(3, testRows)), toBytes(drawVectors(4, testAsks))
	saveNpy(t, filepath.Join(dir, "base.u8.npy"), "|u1", testRows, testDim, base)
	saveNpy(t, filepath.Join(dir, "query.u8.npy"), "|u1", testAsks, testDim, query)
	var truth []int32
	for q := range testAsks {
		order := make([]int, testRows)
		far := make([]int, testRows)
		for i := range order {
			order[i] = i
			for d := range testDim {
				x := int(base[i*testDim+d]) - int(query[q*testDim+d])
				far[i] += x * x
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return far[a] - far[b] })
		for _, i := range order[:20] {
			truth = append(truth, int32(i))
		}
	}
	saveNpy(t, filepath.Join(dir, "gt_ids.npy"), "<i4", testAsks, 20, truth)
	return dir
}

// fingerprint is the names, sizes and times of all files of a folder.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&out, path, info.Size(), info.ModTime(), info.Mode())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// line is a line of --json.
type line struct {
	Measure string   `json:"measure"`
	Engine  string   `json:"engine"`
	Level   float64  `json:"recall_level"`
	QPS     float64  `json:"qps"`
	Recall  float64  `json:"recall"`
	Ef      int      `json:"ef"`
	CPU     *float64 `json:"cpu_s"`
	Wall    *float64 `json:"wall_s"`
	Bytes   *int64   `json:"bytes"`
}

// measure runs the program and returns its lines.
func measure(t *testing.T, dir string, args ...string) (lines []line, notes string) {
	t.Helper()
	before := fingerprint(t, dir)
	var stdout, stderr bytes.Buffer
	args = append([]string{"--data", dir, "--cache", t.TempDir(), "--rounds", "2", "--json"}, args...)
	if code := Main(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("%v: exit code %d\n%s", args, code, stderr.String())
	}
	if after := fingerprint(t, dir); after != before {
		t.Errorf("the data folder changed:\n%s\n%s", before, after)
	}
	dec := json.NewDecoder(&stdout)
	for {
		var l line
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return lines, stderr.String()
		} else if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		lines = append(lines, l)
	}
}

// checkLines wants one build line and one search line per level from an engine.
func checkLines(t *testing.T, engine string, lines []line) {
	t.Helper()
	builds, found := 0, []float64{}
	for _, l := range lines {
		if l.Engine != engine {
			continue
		}
		switch l.Measure {
		case "build":
			builds++
			if l.CPU == nil || l.Wall == nil || l.Bytes == nil || *l.CPU < 0 || *l.Wall <= 0 || *l.Bytes < 0 {
				t.Errorf("build line %+v", l)
			}
		case "search":
			found = append(found, l.Level)
			if l.QPS <= 0 || l.Recall < l.Level || l.Recall > 1 {
				t.Errorf("search line %+v", l)
			}
		default:
			t.Errorf("line %+v", l)
		}
	}
	if builds != 1 || !slices.Equal(found, []float64{0.9, 0.95, 0.99}) {
		t.Errorf("%s: %d build lines, search lines for %v", engine, builds, found)
	}
}

func TestBothLayouts(t *testing.T) {
	for name, c := range map[string]struct {
		dir   func(*testing.T) string
		truth string
		args  []string
	}{
		"embeddings":       {embeddingsDir, "looking at all rows", nil},
		"base":             {baseDir, "gt_ids.npy of the data folder", nil},
		"base, cosine":     {baseDir, "looking at all rows", []string{"--metric", "COSINE"}},
		"lists":            {baseDir, "gt_ids.npy", []string{"--index", "IVF_SQ8", "--params", `{"nlist":32}`}},
		"flat":             {embeddingsDir, "", []string{"--index", "FLAT", "--metric", "IP"}},
		"auto":             {baseDir, "", []string{"--index", "AUTOINDEX", "--threads", "2"}},
		"filter":           {baseDir, "looking at all rows", []string{"--filter", "0.1"}},
		"filter, together": {embeddingsDir, "looking at all rows", []string{"--filter", "0.2", "--filter-correlated"}},
		"a part":           {baseDir, "looking at all rows", []string{"--rows", "1000", "--queries", "20", "--efforts", "10,40,160,400"}},
	} {
		t.Run(name, func(t *testing.T) {
			lines, notes := measure(t, c.dir(t), c.args...)
			checkLines(t, "gyr", lines)
			if !strings.Contains(notes, c.truth) {
				t.Errorf("notes lack %q:\n%s", c.truth, notes)
			}
		})
	}
}

func TestDrawnData(t *testing.T) {
	a, err := synthesize(t.Context(), "synth:5000x16")
	if err != nil {
		t.Fatal(err)
	}
	b, err := synthesize(t.Context(), "synth:5000x16")
	if err != nil || !slices.Equal(a.Base, b.Base) || !slices.Equal(a.Query, b.Query) {
		t.Errorf("two draws differ; %v", err)
	}
	if a.Rows() != 5000 || a.Asks() != synthQueries || slices.Equal(a.Row(0), a.Ask(0)) {
		t.Errorf("%d rows, %d queries", a.Rows(), a.Asks())
	}
	for i, x := range a.Base {
		if x < 0 || x > 255 || x != float32(math.Round(float64(x))) {
			t.Fatalf("value %d is %g", i, x)
		}
	}
	for _, name := range []string{"synth:3000x16", "demo:"} {
		var stdout, stderr bytes.Buffer
		args := []string{"--data", name, "--cache", t.TempDir(), "--rounds", "1", "--rows", "3000", "--queries", "50", "--json"}
		if code := Main(t.Context(), args, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), `"recall_level":0.99`) {
			t.Errorf("%s: exit code %d: %s%s", name, code, stdout.String(), stderr.String())
		}
	}
}

func TestTargets(t *testing.T) {
	lines, _ := measure(t, baseDir(t), "--target-recall")
	targets := 0
	for _, l := range slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.Measure != "target" }) {
		targets++
		if l.QPS <= 0 || l.Recall < 0.5 {
			t.Errorf("%+v", l)
		}
	}
	if targets != 1+len(levels()) {
		t.Errorf("%d lines", targets)
	}
}

// A ground truth that belongs to other data is noticed.
func TestWrongTruth(t *testing.T) {
	dir := baseDir(t)
	ids := make([]int32, testAsks*20)
	for i := range ids {
		ids[i] = int32(i % testRows)
	}
	saveNpy(t, filepath.Join(dir, "gt_ids.npy"), "<i4", testAsks, 20, ids)
	lines, notes := measure(t, dir)
	checkLines(t, "gyr", lines)
	if !strings.Contains(notes, "disagrees") {
		t.Errorf("notes: %s", notes)
	}
}

func TestTruthIsCached(t *testing.T) {
	dir, cache := embeddingsDir(t), t.TempDir()
	for i, want := range []string{"looking at all rows", "from the cache"} {
		_, notes := measure(t, dir, "--cache", cache)
		if !strings.Contains(notes, want) {
			t.Errorf("run %d: no %q in\n%s", i, want, notes)
		}
	}
	if left, err := filepath.Glob(filepath.Join(cache, "run-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The recall that is reported is that of plain arithmetic over the ids.
func TestRecallCountsTies(t *testing.T) {
	set := &Set{Metric: "L2", Dim: 1, Base: []float32{0, 1, -1, 2, 3}, Query: []float32{0}}
	j := &judge{set: set, k: 2, want: []int{0}, bound: []float64{0}}
	j.take([]int64{0, 1}, 2)
	for _, c := range []struct {
		ids  []int32
		want float64
	}{{[]int32{0, 1}, 1}, {[]int32{0, 2}, 1}, {[]int32{1, 2}, 1}, {[]int32{0, 3}, 0.5}, {[]int32{0, 0}, 0.5}, {[]int32{-1, 4}, 0}} {
		if got, err := j.recall(c.ids); err != nil || got != c.want {
			t.Errorf("%v: %v, %v, want %v", c.ids, got, err, c.want)
		}
	}
	if _, err := j.recall([]int32{0, 5}); err == nil {
		t.Error("a row that is not there passed")
	}
}

func TestTableAndPictures(t *testing.T) {
	dir := baseDir(t)
	for _, name := range []string{"curve.svg", "curve.png"} {
		path := filepath.Join(t.TempDir(), name)
		var stdout, stderr bytes.Buffer
		if code := Main(t.Context(), []string{"--data", dir, "--cache", t.TempDir(), "--rounds", "1", "--plot", path}, &stdout, &stderr); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		for _, want := range []string{"HNSW M=16 efConstruction=200", "0.95", "gyr"} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("no %q in\n%s", want, stdout.String())
			}
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name == "curve.png" {
			if img, err := png.Decode(bytes.NewReader(raw)); err != nil || img.Bounds().Dx() != chartWidth {
				t.Errorf("%v", err)
			}
		} else if !bytes.HasPrefix(raw, []byte("<svg ")) || !bytes.Contains(raw, []byte("gyr")) {
			t.Errorf("%s", raw[:min(len(raw), 200)])
		}
	}
}

func TestKernels(t *testing.T) {
	report, err := Kernels(t.Context(), KernelConfig{Memory: 1 << 20, Slice: 20 * time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(kernelCases()) * len(kernelDims()) * len(kernel.Tiers()); len(report.Figures) != want || report.Bandwidth <= 0 {
		t.Errorf("%d figures, want %d; %g GB/s", len(report.Figures), want, report.Bandwidth)
	}
	for _, f := range report.Figures {
		if f.Cache <= 0 || f.Memory <= 0 || f.GBs <= 0 || math.IsInf(f.Memory, 0) {
			t.Errorf("%+v", f)
		}
	}
	var table, lines bytes.Buffer
	if err := errors.Join(report.Table(&table), report.JSON(&lines)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "SQ8 codes") || !strings.Contains(lines.String(), `{"measure":"kernel","kernel":"SQ8 codes"`) {
		t.Errorf("%s%s", table.String(), lines.String())
	}
}

func TestGlyphs(t *testing.T) {
	for _, r := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-=/()@_%+:" {
		if g := glyph(r); len(g) != 15 || strings.Trim(g, ".#") != "" {
			t.Errorf("%c: %q", r, g)
		}
	}
	if g := glyph('é'); g != "" {
		t.Errorf("é: %q", g)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	good := baseDir(t)
	bad := func(name string, content []byte) string {
		dir := t.TempDir()
		if name != "" {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{nil, 1, "--data DIR"},
		{[]string{"--data", bad("", nil)}, 1, "neither embeddings.*.npy"},
		{[]string{"--data", bad("base.u8.npy", []byte("not numpy"))}, 1, "no query.*.npy"},
		{[]string{"--data", filepath.Join(good, "base.u8.npy")}, 1, "is a file"},
		{[]string{"--data", filepath.Join(good, "nothing")}, 1, "no such file"},
		{[]string{"--data", good, "--index", "TREE"}, 1, "TREE"},
		{[]string{"--data", good, "--index", "BIN_FLAT"}, 1, "float vectors"},
		{[]string{"--data", good, "--params", "M=16"}, 2, `{"M":16`},
		{[]string{"--data", good, "--params", `{"M":9999}`}, 1, "should be in range [2, 2048]"},
		{[]string{"--data", good, "--filter", "1.5"}, 1, "share of rows"},
		{[]string{"--data", good, "--filter-correlated"}, 1, "--filter SHARE"},
		{[]string{"--data", good, "--peers", "other"}, 1, "there are hnswlib"},
		{[]string{"--data", good, "--plot", "x.jpg"}, 1, ".svg or .png"},
		{[]string{"--data", good, "--cache", filepath.Join(good, "cache")}, 1, "never written"},
		{[]string{"--data", good, "--metric", "HAMMING"}, 1, "HAMMING"},
		{[]string{"--data", good, "--k", "5000"}, 1, "only 3000 rows"},
		{[]string{"--data", good, "--efforts", "x"}, 2, "is no number"},
		{[]string{"--data", "synth:many"}, 1, "synth:ROWSxDIM"},
		{[]string{"--data", good, "more"}, 2, "is no option"},
	} {
		var stdout, stderr bytes.Buffer
		args := c.args
		if !slices.Contains(args, "--cache") {
			args = append(slices.Clone(args), "--cache", t.TempDir())
		}
		if code := Main(t.Context(), args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.text) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s", c.args, code, c.code, c.text, stderr.String())
		}
		if stdout.Len() > 0 {
			t.Errorf("%v: %s", c.args, stdout.String())
		}
	}
}

func TestPeers(t *testing.T) {
	if os.Getenv("GYR_TEST_PEERS") == "" {
		t.Skip("GYR_TEST_PEERS=1 installs other libraries with pip and compares with them")
	}
	dir, cache := baseDir(t), os.Getenv("GYR_TEST_PEERS_CACHE")
	if cache == "" {
		cache = t.TempDir()
	}
	for _, args := range [][]string{{}, {"--metric", "COSINE"}, {"--index", "IVF_FLAT", "--single"}, {"--index", "FLAT"}, {"--index", "AUTOINDEX"}, {"--filter", "0.3"}} {
		lines, notes := measure(t, dir, append([]string{"--peers", "hnswlib,faiss", "--cache", cache}, args...)...)
		checkLines(t, "gyr", lines)
		checkLines(t, "faiss", lines)
		if len(args) == 0 || args[0] == "--metric" || args[1] == "FLAT" || args[1] == "AUTOINDEX" {
			checkLines(t, "hnswlib", lines)
		} else if !strings.Contains(notes, "hnswlib: not available") {
			t.Errorf("%v: %s", args, notes)
		}
	}
}
