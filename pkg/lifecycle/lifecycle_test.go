package lifecycle

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type trace struct {
	mu    sync.Mutex
	lines []string
}

func (t *trace) add(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, s)
}

func part(tr *trace, name string, fail <-chan error) Part {
	ready := make(chan struct{})
	return Part{
		Name: name,
		Run: func(ctx context.Context) error {
			tr.add("start " + name)
			close(ready)
			select {
			case <-ctx.Done():
				tr.add("stop " + name)
				return ctx.Err()
			case err := <-fail:
				return err
			}
		},
		Ready: func(ctx context.Context) error {
			select {
			case <-ready:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

func TestOrder(t *testing.T) {
	var tr trace
	g := Group{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	g.Add(part(&tr, "a", nil))
	g.Add(part(&tr, "b", nil))
	ctx, cancel := context.WithCancel(context.Background())
	if err := g.Run(ctx, cancel); err != nil {
		t.Fatal(err)
	}
	if want := []string{"start a", "start b", "stop b", "stop a"}; !slices.Equal(tr.lines, want) {
		t.Fatalf("got %v, want %v", tr.lines, want)
	}
}

func TestAFailureStopsAll(t *testing.T) {
	var tr trace
	fail := make(chan error, 1)
	g := Group{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	g.Add(part(&tr, "a", nil))
	g.Add(part(&tr, "b", fail))
	err := g.Run(context.Background(), func() { fail <- errors.New("boom") })
	if err == nil || !strings.Contains(err.Error(), "b ended: boom") {
		t.Fatal(err)
	}
	if !slices.Contains(tr.lines, "stop a") {
		t.Fatal("a was not stopped")
	}
}

func TestFailureBeforeReady(t *testing.T) {
	g := Group{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	g.Add(Part{
		Name: "x", Run: func(context.Context) error { return errors.New("port taken") },
		Ready: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	})
	if err := g.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "port taken") {
		t.Fatal(err)
	}
}

func TestAStuckPartIsNamed(t *testing.T) {
	g := Group{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), StopTimeout: 10 * time.Millisecond}
	hang := make(chan struct{})
	defer close(hang)
	g.Add(Part{Name: "stuck", Run: func(context.Context) error { <-hang; return nil }})
	ctx, cancel := context.WithCancel(context.Background())
	if err := g.Run(ctx, cancel); err == nil || !strings.Contains(err.Error(), "stuck did not stop") {
		t.Fatal(err)
	}
}
