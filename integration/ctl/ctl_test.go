// Package ctl runs gyr-ctl against real processes: each fault that it names is staged, must get a sentence of its own and
// exit code 1 within a time, and is forgotten when it is repaired.
package ctl

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/harness"
)

// answer is what one run of gyr-ctl said.
type answer struct {
	code     int
	out, err string
}

func (a answer) String() string { return fmt.Sprintf("exit code %d\n%s%s", a.code, a.out, a.err) }

// run runs gyr-ctl.
func run(t testing.TB, args ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(t, "gyr-ctl"), args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("gyr-ctl %v: %v", args, err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// problems are the sentences below "What is wrong:".
func (a answer) problems() []string {
	_, list, _ := strings.Cut(a.out, "What is wrong:\n")
	var out []string
	for line := range strings.Lines(list) {
		out = append(out, strings.TrimSpace(strings.TrimPrefix(line, "  - ")))
	}
	return out
}

func (a answer) says(words string) bool {
	for _, p := range a.problems() {
		if strings.Contains(p, words) {
			return true
		}
	}
	return false
}

// untilWell waits until status says that all is well.
func untilWell(t testing.TB, address string, within time.Duration) {
	t.Helper()
	begin := time.Now()
	for {
		a := run(t, "status", "--address", address)
		if a.code == 0 && strings.Contains(a.out, "All is well.") {
			t.Logf("all is well after %s", time.Since(begin).Round(time.Millisecond))
			return
		}
		if time.Since(begin) > within {
			t.Fatalf("not well after %s: %s", within, a)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// untilSays waits until status has a sentence for each of some words, and returns that answer.
func untilSays(t testing.TB, address string, within time.Duration, words ...string) answer {
	t.Helper()
	begin := time.Now()
	for {
		a := run(t, "status", "--address", address)
		missing := ""
		for _, w := range words {
			if !a.says(w) {
				missing = w
			}
		}
		if missing == "" {
			if a.code != 1 {
				t.Fatalf("problems are said with another exit code than 1: %s", a)
			}
			t.Logf("said after %s: %s", time.Since(begin).Round(time.Millisecond), strings.Join(a.problems(), "\n  "))
			return a
		}
		if time.Since(begin) > within {
			t.Fatalf("%q is not said after %s: %s", missing, within, a)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
