package crash

import (
	"strings"
	"testing"

	"github.com/gyr-db/gyr/integration/client"
)

// TestModelBites: each way to be wrong is noticed.
func TestModelBites(t *testing.T) {
	fresh := func() *Model {
		m := NewModel(4)
		for k := range int64(3) {
			m.Sent(k, 1)
			m.Acked(k, 1)
		}
		m.Sent(2, gone)
		m.Acked(2, gone)
		m.Sent(1, 2) // unknown
		return m
	}
	other := NewModel(4).Row(0, 1)
	other.Vector[0]++
	cases := []struct {
		name string
		rows func(m *Model) []client.Row
		want string
	}{
		{"right, the unknown write did not happen", func(m *Model) []client.Row { return []client.Row{m.Row(0, 1), m.Row(1, 1)} }, ""},
		{"right, it did", func(m *Model) []client.Row { return []client.Row{m.Row(0, 1), m.Row(1, 2)} }, ""},
		{"lost", func(m *Model) []client.Row { return []client.Row{m.Row(1, 1)} }, "key 0 is lost"},
		{"twice", func(m *Model) []client.Row { return []client.Row{m.Row(0, 1), m.Row(0, 1), m.Row(1, 1)} }, "twice"},
		{"deleted and back", func(m *Model) []client.Row { return []client.Row{m.Row(0, 1), m.Row(1, 1), m.Row(2, 1)} }, "key 2 has version 1"},
		{"never written", func(m *Model) []client.Row { return []client.Row{m.Row(0, 7), m.Row(1, 1)} }, "key 0 has version 7"},
		{"other vector", func(m *Model) []client.Row { return []client.Row{other, m.Row(1, 1)} }, "another vector"},
	}
	for _, c := range cases {
		m := fresh()
		err := m.Check(c.rows(m))
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// TestLateWrites: a write of unknown outcome may land after a scan that did not show it; an acknowledged version that was
// overwritten or deleted may not come back, whatever happened before.
func TestLateWrites(t *testing.T) {
	m := NewModel(4)
	m.Sent(1, 1)
	m.Acked(1, 1)
	m.Sent(1, 2) // unknown
	if err := m.Check([]client.Row{m.Row(1, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := m.Check([]client.Row{m.Row(1, 2)}); err != nil {
		t.Fatalf("landed late: %v", err)
	}
	m.Sent(1, 3)
	m.Acked(1, 3)
	m.Sent(1, gone)
	m.Acked(1, gone)
	for _, old := range []int64{1, 3} {
		if err := m.Check([]client.Row{m.Row(1, old)}); err == nil {
			t.Fatalf("version %d came back unnoticed", old)
		}
	}
}
