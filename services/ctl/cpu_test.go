package ctl

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func TestCPU(t *testing.T) {
	t.Setenv(kernel.EnvTier, "")
	tiers := kernel.Tiers()
	best := tiers[len(tiers)-1].Name()
	code, out, errOut := run(t, "cpu")
	if code != exitFine || errOut != "" || !strings.HasPrefix(out, "vector kernels: "+best+" (") {
		t.Fatalf("code %d, %s%s", code, out, errOut)
	}

	t.Setenv(kernel.EnvTier, "generic")
	code, out, _ = run(t, "cpu", "--json")
	var a cpuAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != exitFine {
		t.Fatalf("code %d, %v: %s", code, err, out)
	}
	if a.Tier != "generic" || a.Forced != "generic" || a.Arch != runtime.GOARCH || best != "generic" && !strings.Contains(a.Faster, best) {
		t.Fatalf("%s", out)
	}

	t.Setenv(kernel.EnvTier, "nonsense")
	if code, out, _ = run(t, "cpu"); code != exitProblem || !strings.Contains(out, "vector kernels: none") || !strings.Contains(out, `"nonsense" is not available`) {
		t.Fatalf("code %d: %s", code, out)
	}
	if code, _, errOut = run(t, "cpu", "please"); code != exitUsage || !strings.Contains(errOut, "please") {
		t.Fatalf("code %d: %s", code, errOut)
	}
}

func TestFaster(t *testing.T) {
	ran := func(name string) kernel.TierState { return kernel.TierState{Name: name, Runs: true} }
	lacking := kernel.TierState{Name: "neon-dot", Missing: []string{"asimddp"}}
	for _, c := range []struct {
		name string
		d    kernel.Description
		want string
	}{
		{"best", kernel.Description{Arch: "arm64", Tier: "neon", Tiers: []kernel.TierState{ran("generic"), ran("neon")}}, ""},
		{"forced", kernel.Description{Tier: "generic", Tiers: []kernel.TierState{ran("generic"), ran("avx2")}}, "avx2, which runs here when GYR_VECTOR_TIER is not set"},
		{"processor", kernel.Description{Tier: "neon", Tiers: []kernel.TierState{ran("generic"), ran("neon"), lacking}}, "neon-dot, on a processor with asimddp"},
		{"purego", kernel.Description{Arch: "amd64", Tier: "generic", Tiers: []kernel.TierState{ran("generic")}}, "a binary built without the tag purego"},
		{"other", kernel.Description{Arch: "riscv64", Tier: "generic", Tiers: []kernel.TierState{ran("generic")}}, "amd64 or arm64, for which there is assembly"},
	} {
		if got := faster(c.d); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
