package wal

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

// read returns what a reader from a place accepts.
func (w *world) read(from Start, lax laxRules) ([]Accepted, error) {
	r := NewReader(simQueue{w.log, w}, from)
	r.acc.lax = lax
	var out []Accepted
	for end := mq.Position(len(w.log.entries)); r.Position() < end; {
		e, err := r.next(context.Background())
		if err != nil {
			return nil, err
		}
		if e.Records != nil {
			out = append(out, e)
		}
	}
	return out, nil
}

// check says which promise was broken.
func (w *world) check(lax laxRules) error {
	all, err := w.read(Start{}, lax)
	if err != nil {
		return err
	}
	behind, err := w.read(w.meta.checkpoint, lax)
	if err != nil {
		return err
	}
	if err := sameTail(all, behind, w.meta.checkpoint.Position); err != nil {
		return err
	}
	where := map[int64]Ack{}
	last := Ack{}
	for _, e := range all {
		for _, r := range e.Records {
			if r.Kind == Fence {
				continue
			}
			if r.TS <= last.TS {
				return fmt.Errorf("timestamp %d at %d follows %d at %d", r.TS, e.Position, last.TS, last.Position)
			}
			last = Ack{r.TS, e.Position}
			if at, twice := where[r.Collection]; twice {
				return fmt.Errorf("request %d is there twice, at %d and %d", r.Collection, at.Position, e.Position)
			}
			where[r.Collection] = last
		}
	}
	return w.checkPromises(where)
}

func sameTail(all, behind []Accepted, from mq.Position) error {
	for len(all) > 0 && all[0].Position <= from {
		all = all[1:]
	}
	if len(all) != len(behind) {
		return fmt.Errorf("%d entries accepted behind %d by one reader, %d by another", len(all), from, len(behind))
	}
	for i := range all {
		if all[i].Position != behind[i].Position {
			return fmt.Errorf("one reader accepts the entry at %d, another that at %d", all[i].Position, behind[i].Position)
		}
	}
	return nil
}

func (w *world) checkPromises(where map[int64]Ack) error {
	for _, a := range w.acks {
		// A resend may have been acknowledged at the position of the second copy; earlier than the first it must not be.
		if got, ok := where[a.id]; !ok || got.TS != a.ack.TS || got.Position > a.ack.Position {
			return fmt.Errorf("request %d was acknowledged as %+v, readers have %+v (%v)", a.id, a.ack, got, ok)
		}
	}
	for _, b := range w.bars {
		if b.got.TS < b.g {
			return fmt.Errorf("barrier for %d promised only %d", b.g, b.got.TS)
		}
		for id, at := range where {
			if at.TS <= b.got.TS && at.Position > b.got.Position {
				return fmt.Errorf("barrier %+v: request %d is at %+v", b.got, id, at)
			}
		}
		for _, a := range w.acks[:b.need] {
			if a.ack.Position > b.got.Position || a.ack.TS > b.got.TS {
				return fmt.Errorf("barrier %+v misses request %d, acknowledged before as %+v", b.got, a.id, a.ack)
			}
		}
	}
	return nil
}

// live runs one world in virtual time.
func live(t *testing.T, seed uint64, lax laxWriter, read laxRules) (w *world, err error) {
	synctest.Test(t, func(*testing.T) {
		w = newWorld(seed, lax)
		w.run(4 * time.Second)
		err = w.check(read)
	})
	return w, err
}

func TestSimulation(t *testing.T) {
	worlds := uint64(100)
	if testing.Short() {
		worlds = 10
	}
	acks, bars, epochs := 0, 0, uint64(0)
	for seed := range worlds {
		w, err := live(t, seed, laxWriter{}, laxRules{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		acks, bars, epochs = acks+len(w.acks), bars+len(w.bars), epochs+w.meta.epoch
	}
	t.Logf("%d worlds: %d acknowledged, %d barriers, %d owners", worlds, acks, bars, epochs)
	if acks < 50*int(worlds) || bars < 50*int(worlds) || epochs < 3*worlds {
		t.Errorf("too little happened")
	}
}

// TestEveryRuleMatters takes one rule away at a time: some world must then break a promise.
func TestEveryRuleMatters(t *testing.T) {
	for name, lax := range map[string]struct {
		w laxWriter
		r laxRules
	}{
		"readers ignore the epoch":                 {r: laxRules{anyEpoch: true}},
		"readers ignore the seq":                   {r: laxRules{anySeq: true}},
		"promised timestamps are used":             {w: laxWriter{noFloor: true}},
		"barrier does not wait for the stamped":    {w: laxWriter{noWait: true}},
		"barrier does not confirm ownership":       {w: laxWriter{noConfirm: true}},
		"barrier joins a confirmation under way":   {w: laxWriter{joinUnderway: true}},
		"timestamps of a replaced coordinator":     {w: laxWriter{anyOracle: true}},
		"gap is not read back":                     {w: laxWriter{noReadBack: true}},
		"unknown outcome, other bytes":             {w: laxWriter{reuseSeq: true}},
		"error of a resend counts":                 {w: laxWriter{trustLateError: true}},
		"one timestamp per group":                  {w: laxWriter{oneStamp: true}},
		"fence is stamped before the log was read": {w: laxWriter{stampFence: true}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				if _, err := live(t, seed, lax.w, lax.r); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("no world notices that the rule is missing")
		})
	}
}
