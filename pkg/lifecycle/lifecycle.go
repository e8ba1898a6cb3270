// Package lifecycle runs the parts of a process: named, joined, stopped in the reverse order of their start.
//
//	Add(a), Add(b), Run(ctx)
//	  start a, wait until ready; start b, wait until ready; serve
//	  ctx ends or a part fails -> stop b, join it; stop a, join it; the first failure is the result
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Part is one running piece of a process.
type Part struct {
	Name string
	// Run works until its context ends; a return before that, also of nil, ends the whole group.
	Run func(ctx context.Context) error
	// Ready, if set, waits until the part serves; later parts start after it.
	Ready func(ctx context.Context) error
}

// Group is an ordered list of parts.
type Group struct {
	Logger *slog.Logger
	// StopTimeout bounds the stop of each part (default 10 s).
	StopTimeout time.Duration
	parts       []Part
}

// Add appends a part.
func (g *Group) Add(p Part) { g.parts = append(g.parts, p) }

type running struct {
	part   Part
	cancel context.CancelFunc
	done   chan error
}

// Run starts the parts in order, calls serving once all are ready, and blocks until ctx ends or a part fails.
func (g *Group) Run(ctx context.Context, serving func()) error {
	timeout := g.StopTimeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	failed := make(chan error, len(g.parts))
	var up []running
	err := g.start(ctx, failed, &up)
	if err == nil {
		if serving != nil {
			serving()
		}
		select {
		case err = <-failed:
		case <-ctx.Done():
		}
	}
	for i := len(up) - 1; i >= 0; i-- {
		err = errors.Join(err, g.stop(up[i], timeout))
	}
	return err
}

func (g *Group) start(ctx context.Context, failed chan<- error, up *[]running) error {
	for _, p := range g.parts {
		// A part's context ends only when it is its turn to stop, not when the process is told to.
		partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{part: p, cancel: cancel, done: make(chan error, 1)}
		*up = append(*up, r)
		ended := make(chan struct{})
		go func() {
			err := p.Run(partCtx)
			if partCtx.Err() == nil {
				failed <- fmt.Errorf("%s ended: %w", p.Name, orUnexpected(err))
			}
			r.done <- err
			close(ended)
		}()
		if p.Ready == nil {
			continue
		}
		readyCtx, stop := context.WithCancel(ctx)
		go func() {
			select {
			case <-ended:
				stop()
			case <-readyCtx.Done():
			}
		}()
		err := p.Ready(readyCtx)
		stop()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			select {
			case cause := <-r.done:
				r.done <- nil
				return fmt.Errorf("%s: %w", p.Name, orUnexpected(cause))
			default:
				return fmt.Errorf("start %s: %w", p.Name, err)
			}
		}
	}
	return nil
}

func (g *Group) stop(r running, timeout time.Duration) error {
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil && !errors.Is(err, context.Canceled) {
			g.Logger.Warn("part stopped with an error", "part", r.part.Name, "error", err)
		}
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("%s did not stop within %s", r.part.Name, timeout)
	}
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("unexpectedly, without an error")
	}
	return err
}
