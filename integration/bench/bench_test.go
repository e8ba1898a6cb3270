package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestARowDependsOnItsKeyAlone(t *testing.T) {
	all := generate(150, 100)
	part := generate(199, 2)
	for i, r := range part {
		want := all[49+i]
		if r.Key != want.Key {
			t.Fatalf("key %d, want %d", r.Key, want.Key)
		}
		for j := range r.Vector {
			if r.Vector[j] != want.Vector[j] {
				t.Fatalf("key %d differs at component %d", r.Key, j)
			}
		}
	}
}

func TestVectorsAreClusteredAndOfLengthOne(t *testing.T) {
	dot := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	rows := generate(clusterRows-2, 4) // two of one cluster, two of the next
	for _, r := range rows {
		if n := dot(r.Vector, r.Vector); math.Abs(n-1) > 1e-5 {
			t.Errorf("squared length %v", n)
		}
	}
	same, other := dot(rows[0].Vector, rows[1].Vector), dot(rows[1].Vector, rows[2].Vector)
	if same < 0.5 || other > 0.3 {
		t.Errorf("inner product %v within a cluster, %v between two", same, other)
	}
}

func TestParseStat(t *testing.T) {
	for _, name := range []string{"gyr-standalone", "a b) c"} {
		got, err := parseStat("12 (" + name + ") S 1 2 3 4 5 6 7 8 9 10 25 17 0 0 20")
		if err != nil || got != 420*time.Millisecond {
			t.Errorf("%s: got %v, %v; want 420ms", name, got, err)
		}
	}
	if _, err := parseStat("12 (x"); err == nil {
		t.Error("a cut line is accepted")
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"nothing to measure": {},
		"unknown figure":     {Address: "x", Only: []string{"nothing"}},
		"negative":           {Address: "x", Segments: -1},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := Config{Address: "x", Only: []string{"search"}}
	if err := c.Validate(); err != nil || c.Seconds != 5 || c.Segments != 200 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestReport(t *testing.T) {
	r := Report{Version: "v", Results: []Result{{Figure: "start", Values: []Value{{"exec to healthy", 51.234, "ms"}}, Error: "why"}}, LeftOut: []string{"restart"}}
	var table, js bytes.Buffer
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"51.23 ms", "FAILED: why", "left out", "restart"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	if err := r.JSON(&js); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || back.Results[0].Values[0].Value != 51.234 {
		t.Errorf("%+v, %v", back, err)
	}
}
