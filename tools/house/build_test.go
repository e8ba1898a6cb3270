package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Every module can be used without the workspace: its go.mod and go.sum are complete.
func TestModulesBuildOutsideTheWorkspace(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every module")
	}
	for _, m := range modules {
		cmd := exec.Command("go", "build", "./...")
		cmd.Dir = filepath.Join(root(t), m)
		cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not build with GOWORK=off; if the workspace builds, run `cd %s && GOWORK=off go mod tidy`:\n%s", m, m, out)
		}
	}
}
