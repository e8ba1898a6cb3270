package kernel

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// EnvTier is the environment variable that forces a tier by name in Default.
const EnvTier = "GYR_VECTOR_TIER"

// Set is one tier's kernels. The zero value is the generic tier.
type Set struct {
	t *table
}

func (s Set) table() *table {
	if s.t == nil {
		return generic()
	}
	return s.t
}

// Name returns the tier's name, for example generic or avx2.
func (s Set) Name() string { return s.table().name }

// level is a tier of an architecture: what it needs beyond the one before, and what it replaces in that one's table.
type level struct {
	name  string
	needs []string
	add   func(*table)
}

// tables holds the tiers that this machine can run, slowest first.
var tables = sync.OnceValue(func() []*table {
	out, have := []*table{generic()}, features()
	for _, l := range levels() {
		if len(missing(l, have)) > 0 {
			break
		}
		t := *out[len(out)-1]
		t.name = l.name
		l.add(&t)
		out = append(out, &t)
	}
	return out
})

func missing(l level, have map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(l.needs), func(f string) bool { return have[f] })
}

// Tiers returns the sets that this machine can run, slowest first.
func Tiers() []Set {
	sets := []Set{}
	for _, t := range tables() {
		sets = append(sets, Set{t})
	}
	return sets
}

// New returns the tier called name, or the machine's best for an empty name.
func New(name string) (Set, error) {
	all := Tiers()
	if name == "" {
		return all[len(all)-1], nil
	}
	var names []string
	for _, s := range all {
		if s.Name() == name {
			return s, nil
		}
		names = append(names, s.Name())
	}
	return Set{}, fmt.Errorf("vector kernel tier %q is not available here, choose from %s", name, strings.Join(names, ", "))
}

var defaultSet = sync.OnceValues(func() (Set, error) { return New(os.Getenv(EnvTier)) })

// Default returns the tier that GYR_VECTOR_TIER names, or the machine's best. The choice is made once per process.
func Default() (Set, error) { return defaultSet() }

// CodeStride returns the bytes that one code row of dim dimensions takes: dim rounded up to a cache line.
func CodeStride(dim int) int { return (dim + 63) &^ 63 }
