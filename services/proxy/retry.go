package proxy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
)

// retryPause is how long a request waits for a change of the catalog before it tries again.
const retryPause = 100 * time.Millisecond

// worthRetry tells failures of a peer, or of a moment, from those of the request.
func worthRetry(err error) bool {
	switch errs.CodeOf(err) {
	case errs.Unavailable, errs.NotReady, errs.TooManyRequests, errs.ViewStale, errs.NotOwner, errs.Fenced, errs.NotLeader,
		errs.Moved, errs.NodeNotFound, errs.Canceled:
		return true
	}
	return false
}

func codeLabel(err error) string { return strconv.Itoa(int(errs.CodeOf(err))) }

// pause waits for a change of the catalog, a moment at most. It returns cause, in words, when ctx has ended or has too
// little time left for another attempt.
func (p *Proxy) pause(ctx context.Context, cause error) error {
	changed, cancel := p.deps.Cache.Subscribe()
	defer cancel()
	deadline, bounded := ctx.Deadline()
	if bounded && time.Until(deadline) < 2*retryPause {
		return p.gaveUp(cause)
	}
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
		time.Sleep(5 * time.Millisecond) // several changes come together
	case <-ctx.Done():
		return p.gaveUp(cause)
	}
	return nil
}

func (p *Proxy) gaveUp(cause error) error {
	code := errs.CodeOf(cause)
	switch code {
	case errs.Timeout, errs.Canceled, errs.NodeNotFound:
		code = errs.Unavailable
	}
	return errs.New(code, "not answered in time: %w", fmt.Errorf("%w", cause))
}

// doubtAfter is how long a call of a peer may take before the proxy looks whether the peer still is what it was.
const doubtAfter = 200 * time.Millisecond

// whileTrue returns a context that ends soon after ok has become false, so that a call of a peer that died without a
// word, or is no longer in charge, is left for its successor. ok is asked when the catalog changes.
func (p *Proxy) whileTrue(ctx context.Context, ok func() bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(doubtAfter, func() {
		changed, stop := p.deps.Cache.Subscribe()
		defer stop()
		for ok() {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
		cancel(errs.New(errs.Unavailable, "the service that was asked is gone"))
	})
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}
