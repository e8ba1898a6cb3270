package kernel

import (
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	t.Setenv(EnvTier, "")
	best := Tiers()[len(Tiers())-1].Name()
	d, err := Describe()
	if err != nil || d.Tier != best || d.Forced != "" || !d.Tiers[0].Runs {
		t.Fatalf("%+v, %v; the best tier is %s", d, err, best)
	}
	runs := 0
	for _, s := range d.Tiers {
		if s.Runs {
			runs++
		}
		if s.Runs != (len(s.Missing) == 0) {
			t.Fatalf("tier %s runs: %v, but lacks %v", s.Name, s.Runs, s.Missing)
		}
	}
	if runs != len(Tiers()) {
		t.Fatalf("%d tiers are said to run, %d do", runs, len(Tiers()))
	}
	t.Setenv(EnvTier, "generic")
	if d, err = Describe(); err != nil || d.Tier != "generic" || !strings.Contains(d.String(), "generic ("+EnvTier+"=generic)") {
		t.Fatalf("forced: %v\n%v", err, d)
	}
	t.Setenv(EnvTier, "nonsense")
	if d, err = Describe(); err == nil || d.Tier != "" || len(d.Tiers) == 0 {
		t.Fatalf("an unknown tier was described as %+v", d)
	}
}
