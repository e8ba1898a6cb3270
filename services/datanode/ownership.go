package datanode

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/wal"
)

// grant is the ownership of a log as the metadata store knows it.
type grant struct {
	epoch uint64
	value []byte // of the owner key
	// oracleEpoch is that of the coordinator that led when the log was granted, or a lower bound of any later one's.
	oracleEpoch int64
	lease       meta.LeaseID
}

func (g grant) epochValue() []byte { return strconv.AppendUint(nil, g.epoch, 10) }

func isNotFound(err error) bool { return errors.Is(err, meta.ErrNotFound) }

// errTaken: somebody else owns the log.
var errTaken = errors.New("the log is taken")

// acquire takes a log that nobody owns, under an epoch above every earlier one. When it returns, the cached catalog is
// not older than the grant: every commit of a former owner is in it, and no further one can succeed.
func (n *Node) acquire(ctx context.Context, number int, lease meta.LeaseID) (grant, error) {
	last, kv, err := catalog.ReadNumber(ctx, n.deps.Meta, catalog.EpochKey(number))
	if err != nil {
		return grant{}, err
	}
	g := grant{epoch: last + 1, lease: lease}
	rev, err := n.putOwner(ctx, number, &g, []meta.Compare{{Key: catalog.OwnerKey(number)}, {Key: catalog.EpochKey(number), ModRev: kv.ModRev}})
	if err != nil {
		return grant{}, err
	}
	return g, n.afterGrant(ctx, &g, rev)
}

// putOwner writes owner and epoch keys. An unknown outcome is read back: only this node can have written this value.
func (n *Node) putOwner(ctx context.Context, number int, g *grant, cmps []meta.Compare) (int64, error) {
	op, err := catalog.Put(catalog.OwnerKey(number), catalog.Owner{Node: n.id, Addr: n.cfg.Addr, Epoch: g.epoch})
	if err != nil {
		return 0, err
	}
	op.Lease, g.value = g.lease, op.Value
	rev, ok, err := n.deps.Meta.Txn(ctx, cmps, []meta.Op{op, catalog.PutNumber(catalog.EpochKey(number), g.epoch)})
	if err == nil && !ok {
		return 0, errTaken
	}
	if err != nil {
		kv, readErr := n.deps.Meta.Get(ctx, catalog.OwnerKey(number))
		if readErr != nil || string(kv.Value) != string(g.value) || kv.Lease != g.lease {
			return 0, fmt.Errorf("take log %d: %w", number, err)
		}
		rev = kv.ModRev
	}
	return rev, nil
}

// afterGrant brings the cache to the grant's revision and reads who leads the coordinators.
func (n *Node) afterGrant(ctx context.Context, g *grant, rev int64) error {
	if err := n.deps.Cache.WaitRevision(ctx, rev); err != nil {
		return err
	}
	// Without a leader every later one's epoch, the revision at which it takes its key, is above the grant's.
	g.oracleEpoch = rev
	if leader, epoch := n.deps.Cache.Leader(); leader != nil {
		g.oracleEpoch = epoch
	}
	return nil
}

// raise moves a grant to an epoch above one that the log turned out to hold, as after a restore of the metadata store.
func (n *Node) raise(ctx context.Context, number int, g *grant, above uint64) error {
	cmps := []meta.Compare{{Key: catalog.OwnerKey(number), Value: g.value}, {Key: catalog.EpochKey(number), Value: g.epochValue()}}
	g.epoch = above + 1
	rev, err := n.putOwner(ctx, number, g, cmps)
	if err != nil {
		return err
	}
	return n.afterGrant(ctx, g, rev)
}

// giveUp removes the owner key if it is still this grant's.
func (n *Node) giveUp(ctx context.Context, number int, g grant) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.LeaseTTL)
	defer cancel()
	key := catalog.OwnerKey(number)
	if _, _, err := n.deps.Meta.Txn(ctx, []meta.Compare{{Key: key, Value: g.value}}, []meta.Op{{Key: key, Delete: true}}); err != nil {
		n.log.Warn("datanode: release a log; its lease will run out", "log", number, "error", err)
	}
}

// openRaised opens a granted log, under a higher epoch if the log turns out to hold the granted one.
func (n *Node) openRaised(ctx context.Context, number int, g *grant, release <-chan struct{}) (*owner, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.OpenTimeout)
	defer cancel()
	opened := make(chan struct{})
	defer close(opened)
	go func() {
		select {
		case <-release:
			cancel()
		case <-opened:
		}
	}()
	for range 3 {
		o, err := n.openOwner(ctx, number, *g)
		var fenced *wal.FencedError
		if !errors.As(err, &fenced) {
			return o, err
		}
		n.log.Warn("datanode: the log holds a higher epoch than the metadata store knew", "log", number, "epoch", g.epoch, "found", fenced.By)
		if err := n.raise(ctx, number, g, fenced.By); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("log %d is fenced again and again", number)
}

// tenure is one attempt to own a log, from the wish to the end.
type tenure struct {
	release   chan struct{} // closed: hand the log over
	released  bool
	done      chan struct{}
	unwanted  time.Time // since when the placement says another node
	nextRetry time.Time
	delay     time.Duration
}

// session is the life of one lease.
type session struct {
	n     *Node
	lease meta.Lease
	held  map[int]*tenure // running
	rest  map[int]*tenure // ended with an error, resting until nextRetry
}

// step starts and ends tenures as the placement says.
func (s *session) step(ctx context.Context) {
	cache := s.n.deps.Cache
	wanted := s.n.wanted()
	now := time.Now()
	for number, t := range s.held {
		select {
		case <-t.done:
			delete(s.held, number)
			s.rest[number] = t
			continue
		default:
		}
		if wanted[number] {
			t.unwanted = time.Time{}
		} else if t.unwanted.IsZero() {
			t.unwanted = now
		} else if now.Sub(t.unwanted) >= s.n.cfg.RebalanceDelay && !t.released {
			t.released = true
			close(t.release)
		}
	}
	for number := range wanted {
		// An owner key of this node's without a tenure is left over from an attempt whose outcome was unknown.
		owner := cache.Owner(number)
		if s.held[number] != nil || (owner != nil && owner.Node != s.n.id) {
			continue
		}
		t := &tenure{release: make(chan struct{}), done: make(chan struct{})}
		if old := s.rest[number]; old != nil {
			if now.Before(old.nextRetry) {
				continue
			}
			t.delay = old.delay
		}
		s.held[number] = t
		go s.tenure(ctx, number, t, owner)
	}
}

// wanted are the logs that fall to this node.
func (n *Node) wanted() map[int]bool {
	out := map[int]bool{}
	var nodes []catalog.NodeID
	for _, node := range n.deps.Cache.Nodes(catalog.RoleDataNode) {
		if !node.Draining {
			nodes = append(nodes, node.ID)
		}
	}
	var logs []int
	for _, l := range n.deps.Cache.Logs() {
		if l.Created {
			logs = append(logs, l.Number)
		}
	}
	for number, node := range place(logs, nodes) {
		if node == n.id {
			out[number] = true
		}
	}
	return out
}

// tenure acquires, opens, serves and gives up one log. left is an owner key to be removed before.
func (s *session) tenure(ctx context.Context, number int, t *tenure, left *catalog.Owner) {
	defer close(t.done)
	began := time.Now()
	if left != nil {
		if op, err := catalog.Put(catalog.OwnerKey(number), left); err == nil {
			s.n.giveUp(ctx, number, grant{value: op.Value})
		}
	}
	err := s.own(ctx, number, t)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errTaken) {
		s.n.log.Warn("datanode: log lost or not taken", "log", number, "error", err)
	}
	if time.Since(began) > 10*time.Second {
		t.delay = 0
	}
	t.delay = min(max(2*t.delay, 100*time.Millisecond), 5*time.Second)
	if err == nil {
		t.delay = 0
	}
	t.nextRetry = time.Now().Add(t.delay)
}

func (s *session) own(ctx context.Context, number int, t *tenure) error {
	n := s.n
	g, err := n.acquire(ctx, number, s.lease.ID())
	if err != nil {
		if g.epoch != 0 {
			n.giveUp(ctx, number, g)
		}
		return err
	}
	defer func() { n.giveUp(ctx, number, g) }()
	o, err := n.openRaised(ctx, number, &g, t.release)
	if err != nil {
		return err
	}
	defer o.close()
	if err := o.cleanIntents(ctx); err != nil {
		o.log.Warn("datanode: intents of former owners stay for now", "error", err)
	}
	n.serve(number, o)
	defer n.unserve(number, o)
	return o.run(ctx, t.release)
}
