package demo_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/demo"
	"github.com/gyr-db/gyr/integration/harness"
)

func TestTheDemoRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo needs a server; -short leaves it out")
	}
	s := harness.StartStandalone(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cfg := demo.Config{Address: s.Addr, Seconds: 1, Keep: true}
	var out bytes.Buffer
	cfg.Out = &out
	if err := demo.Run(ctx, cfg); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"26,124 rows indexed", "<- measured below", "1 client", "4 clients",
		"borgbackup", "imagemagick", "bibletime", "gyr_demo stays on",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
	if err := demo.Run(ctx, cfg); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("a second run over the kept collection: %v; wanted a word about --replace", err)
	}
}

func TestTheDemoSaysWhatToDoWithoutAServer(t *testing.T) {
	var out bytes.Buffer
	if err := demo.Run(t.Context(), demo.Config{Out: &out}); err == nil || !strings.Contains(err.Error(), "--address") {
		t.Errorf("no address: %v", err)
	}
	err := demo.Run(t.Context(), demo.Config{Address: "127.0.0.1:1", Out: &out})
	if err == nil || !strings.Contains(err.Error(), "make run") {
		t.Errorf("nobody listens: %v", err)
	}
}
