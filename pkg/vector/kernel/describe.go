package kernel

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Description says which tier Default returns and why.
type Description struct {
	Arch   string      `json:"arch"`   // GOARCH
	Tier   string      `json:"tier"`   // the tier in use; empty when Forced names none that can run
	Forced string      `json:"forced"` // what GYR_VECTOR_TIER asks for, empty when it is not set
	Tiers  []TierState `json:"tiers"`
	// Features are the instruction sets that the tiers of this architecture need, by name: whether the machine has them.
	Features map[string]bool `json:"features"`
}

// TierState is one tier of the architecture.
type TierState struct {
	Name    string   `json:"name"`
	Runs    bool     `json:"runs"`
	Missing []string `json:"missing,omitempty"` // instruction sets that this machine lacks for it, those of the tiers before included
}

// Describe looks at the machine and the environment. It fails as Default does, with the rest of the description filled in.
func Describe() (Description, error) {
	d := Description{
		Arch: runtime.GOARCH, Forced: os.Getenv(EnvTier), Features: features(),
		Tiers: []TierState{{Name: generic().name, Runs: true}},
	}
	var lacking []string
	for _, l := range levels() {
		lacking = append(lacking, missing(l, d.Features)...)
		d.Tiers = append(d.Tiers, TierState{Name: l.name, Runs: len(lacking) == 0, Missing: slices.Clone(lacking)})
	}
	s, err := New(d.Forced)
	if err == nil {
		d.Tier = s.Name()
	}
	return d, err
}

// String returns a few lines for people.
func (d Description) String() string {
	var b strings.Builder
	why := "the best that this machine can run"
	switch {
	case d.Forced != "":
		why = EnvTier + "=" + d.Forced
	case len(d.Tiers) == 1:
		why = "built without assembly, or there is none for " + d.Arch
	}
	fmt.Fprintf(&b, "vector kernels: %s (%s)\n", d.Tier, why)
	for _, t := range d.Tiers {
		state := "can run"
		if !t.Runs {
			state = "needs " + strings.Join(t.Missing, ", ")
		}
		fmt.Fprintf(&b, "  %-12s %s\n", t.Name, state)
	}
	names := make([]string, 0, len(d.Features))
	for name, has := range d.Features {
		if has {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		fmt.Fprintf(&b, "instruction sets found: %s\n", strings.Join(names, ", "))
	}
	return b.String()
}
