// Package crash kills Gyr's processes at random instants and checks that no acknowledged write is lost, no delete
// undone, no row returned twice.
package crash

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/gyr-db/gyr/integration/client"
)

// gone is the version of a key that does not exist.
const gone = 0

// Model is what a set of writers knows of the rows: per key the version that was acknowledged last, and versions
// that were sent without an answer and may or may not have happened. Those stay possible for good: an owner sends an entry
// again until it is in the log, so a write that nobody waits for any more may land after a scan did not show it (seen 10 s
// later, when Kafka had been away). A version is sent once only, so an acknowledged one that comes back is still noticed.
type Model struct {
	Dim int

	mu    sync.Mutex
	acked map[int64]int64
	maybe map[int64][]int64
}

// NewModel returns an empty model of rows with vectors of dimension dim.
func NewModel(dim int) *Model {
	return &Model{Dim: dim, acked: map[int64]int64{}, maybe: map[int64][]int64{}}
}

// Vector is the vector that a version of a key carries.
func (m *Model) Vector(key, version int64) []float32 {
	rng := rand.New(rand.NewPCG(uint64(key), uint64(version)))
	v := make([]float32, m.Dim)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// Row is the row of a version of a key.
func (m *Model) Row(key, version int64) client.Row {
	return client.Row{Key: key, Version: version, Vector: m.Vector(key, version)}
}

// Sent notes that a version of a key is on its way.
func (m *Model) Sent(key, version int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maybe[key] = append(m.maybe[key], version)
}

// Acked notes that it was acknowledged. Earlier unknown outcomes stay possible.
func (m *Model) Acked(key, version int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked[key] = version
	if i := slices.Index(m.maybe[key], version); i >= 0 { // an unknown delete stays beside one that was acknowledged
		m.maybe[key] = slices.Delete(m.maybe[key], i, i+1)
	}
	if len(m.maybe[key]) == 0 {
		delete(m.maybe, key)
	}
}

// Len is the number of keys that exist for certain.
func (m *Model) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, v := range m.acked {
		if v != gone {
			n++
		}
	}
	return n
}

// Check compares all rows that a Strong scan returned with what is known, and takes over what the unknown outcomes
// turned out to be.
func (m *Model) Check(rows []client.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := make(map[int64]int64, len(rows))
	for _, r := range rows {
		if v, twice := seen[r.Key]; twice {
			return fmt.Errorf("key %d is returned twice: versions %d and %d", r.Key, v, r.Version)
		}
		seen[r.Key] = r.Version
		if !m.possible(r.Key, r.Version) {
			return fmt.Errorf("key %d has version %d; acknowledged is %d, unknown are %v", r.Key, r.Version, m.acked[r.Key], m.maybe[r.Key])
		}
		if want := m.Vector(r.Key, r.Version); !sameBits(r.Vector, want) {
			return fmt.Errorf("key %d version %d has another vector than was written", r.Key, r.Version)
		}
	}
	for key, v := range m.acked {
		if _, ok := seen[key]; !ok && v != gone && !slices.Contains(m.maybe[key], gone) {
			return fmt.Errorf("key %d is lost: version %d was acknowledged, unknown are %v", key, v, m.maybe[key])
		}
	}
	for key := range m.maybe {
		m.acked[key] = seen[key]
	}
	return nil
}

func (m *Model) possible(key, version int64) bool {
	return m.acked[key] == version || slices.Contains(m.maybe[key], version)
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}
