package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// CopyConfig is about copies of the catalog in the bucket.
type CopyConfig struct {
	// Interval is the time between two copies when nothing else asks for one; AfterChange how soon one follows a change of
	// collections.
	Interval, AfterChange time.Duration
	// AfterBytes of newly sealed segments ask for a copy too, since the log is not truncated behind the last but one.
	AfterBytes int64
	// Keep is the number of copies that stay in the bucket.
	Keep int
}

// copyCheck is how often the reasons for a copy that come with time are looked at; copyShare bounds what copying takes of
// the leader's time: a copy waits at least so many times as long as the last one took.
const (
	copyCheck = 5 * time.Second
	copyShare = 20
)

// copier copies the catalog to the bucket.
type copier struct {
	t    *term
	kick chan struct{}

	took time.Duration // by the last copy; run's own
	mu   sync.Mutex    // held while a copy is made, and while garbage is collected: what a copy names is not removed meanwhile

	state  sync.Mutex // guards all below
	failed error      // of the last attempt
	since  time.Time  // when failures began
}

func newCopier(t *term) *copier { return &copier{t: t, kick: make(chan struct{}, 1)} }

// changed asks for a copy after a change of the catalog.
func (k *copier) changed() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// run copies at the beginning of a term, then whenever there is a reason, until ctx ends.
func (k *copier) run(ctx context.Context) error {
	cfg := k.t.c.cfg.Copies
	next := cfg.AfterChange
	for {
		k.await(ctx, next)
		if ctx.Err() != nil {
			return nil
		}
		k.attempt(ctx)
		next = cfg.Interval
	}
}

// await waits for d, or for a reason to copy earlier.
func (k *copier) await(ctx context.Context, d time.Duration) {
	due := time.NewTimer(d)
	defer due.Stop()
	check := time.NewTicker(copyCheck)
	defer check.Stop()
	for {
		select {
		case <-due.C:
			return
		case <-k.kick:
			sleep(ctx, max(k.t.c.cfg.Copies.AfterChange, copyShare*k.took))
			return
		case <-check.C:
			if k.sealedSince() >= k.t.c.cfg.Copies.AfterBytes {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// sealedSince are the bytes of segments with rows that are younger than the newest copy.
func (k *copier) sealedSince() int64 {
	newest := k.t.c.deps.Cache.Copies().Newest()
	if newest == nil {
		return 0
	}
	at := tso.FromTime(time.UnixMilli(newest.AtMS))
	var bytes int64
	for _, c := range k.t.c.deps.Cache.AllCollections() {
		for _, s := range k.t.c.deps.Cache.Shards(c.ID) {
			for i := range s.Segments {
				if s.Segments[i].MaxTS > at {
					bytes += s.Segments[i].Bytes
				}
			}
		}
	}
	return bytes
}

func (k *copier) attempt(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, k.t.c.cfg.DDLTimeout)
	defer cancel()
	began := k.t.c.now()
	select {
	case <-k.kick: // this copy shows the change
	default:
	}
	made, err := k.copy(ctx)
	k.took = k.t.c.now().Sub(began)
	outcome := "done"
	if err != nil {
		if ctx.Err() != nil && k.t.ctx.Err() != nil {
			return
		}
		outcome = "failed"
		k.t.log.Warn("coordinator: the catalog could not be copied to the bucket", "error", err)
	} else {
		k.t.log.Debug("coordinator: catalog copied", "key", made.Key, "revision", made.Revision, "bytes", made.Bytes)
	}
	k.t.c.met.copies.WithLabelValues(outcome).Inc()
	k.note(err, began)
}

func (k *copier) note(err error, began time.Time) {
	k.state.Lock()
	defer k.state.Unlock()
	if err != nil && k.failed == nil {
		k.since = began
	}
	k.failed = err
}

// copy makes one copy and records it. See catalog.Copies for the order of steps.
func (k *copier) copy(ctx context.Context) (catalog.KeptCopy, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	record, rev, err := k.begin(ctx)
	if err != nil {
		return catalog.KeptCopy{}, err
	}
	c, err := copies.Take(ctx, k.t.c.deps.Meta, k.t.c.now())
	if err != nil {
		return catalog.KeptCopy{}, err
	}
	made := catalog.KeptCopy{Revision: c.Revision, AtMS: c.Time.UnixMilli()}
	if made.Checkpoints, err = positions(c); err != nil {
		return made, err
	}
	if made.Key, made.Bytes, err = copies.Write(ctx, k.t.c.deps.Objects, c); err != nil {
		return made, err
	}
	kept, gone := keepCopies(record.Kept, made, k.t.c.cfg.Copies)
	if _, err := k.write(ctx, rev, &catalog.Copies{Kept: kept}); err != nil {
		return made, err
	}
	if err := k.t.c.deps.Objects.Delete(ctx, gone...); err != nil {
		k.t.log.Warn("coordinator: old copies of the catalog stay for garbage collection", "error", err)
	}
	return made, nil
}

// begin writes what a copy under way needs of the logs.
func (k *copier) begin(ctx context.Context) (*catalog.Copies, int64, error) {
	record, kv, err := catalog.Read[catalog.Copies](ctx, k.t.c.deps.Meta, catalog.CopiesKey)
	if errors.Is(err, meta.ErrNotFound) {
		record, err = &catalog.Copies{}, nil
	}
	if err != nil {
		return nil, 0, err
	}
	record.Pending = map[int]mq.Position{}
	for _, l := range k.t.c.deps.Cache.Logs() {
		marks, _, err := catalog.Read[catalog.LogMarks](ctx, k.t.c.deps.Meta, catalog.MarksKey(l.Number))
		if err != nil && !errors.Is(err, meta.ErrNotFound) {
			return nil, 0, err
		}
		record.Pending[l.Number] = 0
		if err == nil {
			record.Pending[l.Number] = marks.Checkpoint
		}
	}
	rev, err := k.write(ctx, kv.ModRev, record)
	return record, rev, err
}

func (k *copier) write(ctx context.Context, rev int64, record *catalog.Copies) (int64, error) {
	op, err := catalog.Put(catalog.CopiesKey, record)
	if err != nil {
		return 0, err
	}
	return k.t.commit(ctx, []meta.Compare{{Key: catalog.CopiesKey, ModRev: rev}}, []meta.Op{op})
}

func positions(c *copies.Copy) (map[int]mq.Position, error) {
	marks, err := c.Checkpoints()
	if err != nil {
		return nil, err
	}
	out := map[int]mq.Position{}
	for log, m := range marks {
		out[log] = m.Checkpoint
	}
	return out, nil
}

// keepCopies puts a new copy in front of the kept ones and says which keys go. The newest ones stay. Of the others those go
// first whose neighbours are less than an interval apart, so that copies in quick succession do not drive all older ones out.
func keepCopies(old []catalog.KeptCopy, made catalog.KeptCopy, cfg CopyConfig) (kept []catalog.KeptCopy, gone []string) {
	kept = append([]catalog.KeptCopy{made}, old...)
	for i := catalog.ProtectedCopies; i < len(kept)-1 && len(kept) > cfg.Keep; {
		if time.Duration(kept[i-1].AtMS-kept[i+1].AtMS)*time.Millisecond < cfg.Interval {
			gone = append(gone, kept[i].Key)
			kept = slices.Delete(kept, i, i+1)
		} else {
			i++
		}
	}
	for len(kept) > cfg.Keep {
		gone = append(gone, kept[len(kept)-1].Key)
		kept = kept[:len(kept)-1]
	}
	return kept, gone
}

// problem says that copies fail, once they are overdue.
func (k *copier) problem() string {
	k.state.Lock()
	defer k.state.Unlock()
	if k.failed == nil {
		return ""
	}
	last := "the catalog was never copied to the bucket"
	if newest := k.t.c.deps.Cache.Copies().Newest(); newest != nil {
		age := k.t.c.now().Sub(time.UnixMilli(newest.AtMS))
		if age < 2*k.t.c.cfg.Copies.Interval {
			return ""
		}
		last = fmt.Sprintf("the newest copy of the catalog in the bucket is %s old", age.Round(time.Second))
	} else if k.t.c.now().Sub(k.since) < k.t.c.cfg.Copies.Interval {
		return ""
	}
	return fmt.Sprintf("%s, newer ones fail: a lost etcd could not be rebuilt to the present, and logs are not truncated (%v)", last, k.failed)
}

// refuseLost keeps a cluster whose metadata store was lost from beginning anew beside its own data, which nothing would name
// then.
func (t *term) refuseLost(ctx context.Context) error {
	keys, err := copies.List(ctx, t.c.deps.Objects)
	if err != nil {
		return errs.New(errs.Unavailable, "see whether the bucket belongs to a cluster already: %w", err)
	}
	if len(keys) == 0 {
		return nil
	}
	return &LostCatalogError{Newest: keys[0]}
}

// LostCatalogError: the metadata store is empty, but the bucket holds copies of a catalog.
type LostCatalogError struct{ Newest string }

func (e *LostCatalogError) Error() string {
	return fmt.Sprintf("the metadata store is empty, but object storage holds copies of a cluster's catalog, the newest is %s: "+
		"with all processes stopped, `gyr-ctl catalog rebuild` restores it (to begin a new cluster give another storage.url, or remove the folder %s)", e.Newest, copies.Folder)
}
