package wal

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/tso"
)

// stampSlack is how many timestamps more are asked for after a range was too low: with concurrent promises of
// timestamps fresh from the oracle an exact range may be too low again and again.
const stampSlack = 4096

// reserve gets n consecutive timestamps above all that were used and promised, and marks them as in flight.
func (w *Writer) reserve(ctx context.Context, n uint32) (tso.Timestamp, error) {
	ask := n
	for wait := newBackoff(&w.cfg); ; {
		got, err := w.ask(ctx, ask)
		if err == nil {
			if first, ok := w.take(got, n); ok {
				return first, nil
			}
			if ask == n {
				ask += stampSlack
				continue // the next range is above what was known when this one was too low
			}
		} else {
			w.deps.Logger.Warn("wal: no timestamps, writes wait", "error", err)
		}
		if !wait.sleep(ctx) {
			return 0, fmt.Errorf("get timestamps: %w", ctx.Err())
		}
	}
}

// ask gets a range from the oracle and refuses that of a coordinator that is known to be replaced.
func (w *Writer) ask(ctx context.Context, n uint32) (Timestamps, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.OracleTimeout)
	defer cancel()
	got, err := w.deps.Oracle.Timestamps(ctx, n)
	if err != nil {
		return got, fmt.Errorf("ask the oracle: %w", err)
	}
	if got.Count == 0 || got.First == 0 || got.First+uint64(got.Count) < got.First {
		return got, fmt.Errorf("the oracle answered a bad range: %d from %d", got.Count, got.First)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got.Epoch < w.oracleEpoch && !w.cfg.lax.anyOracle {
		return got, fmt.Errorf("timestamps of coordinator epoch %d refused, %d is known", got.Epoch, w.oracleEpoch)
	}
	w.oracleEpoch = max(w.oracleEpoch, got.Epoch)
	w.known = max(w.known, got.First+uint64(got.Count)-1)
	return got, nil
}

// take reserves n timestamps of a range if enough of it lies above what was used and promised.
func (w *Writer) take(got Timestamps, n uint32) (tso.Timestamp, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	low := w.stamped
	if !w.cfg.lax.noFloor {
		low = max(low, w.floor)
	}
	first := max(got.First, low+1)
	if first+uint64(n) > got.First+uint64(got.Count) {
		return 0, false
	}
	w.stamped, w.flying = first+uint64(n)-1, first
	return first, true
}
