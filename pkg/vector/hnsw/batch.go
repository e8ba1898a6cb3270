package hnsw

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// A graph is built in batches of nodes (prefix doubling, Dobson and others, "ParlayANN", 2024): all nodes of a batch look
// for their neighbours in the graph as the batches before left it, then the links to them are made known, list by list.
// Nobody reads what somebody else writes, so there are no locks, and the order in which workers get to nodes and lists does
// not matter: edges to a list are sorted first.
const (
	// batchShare is the part of the graph that the next batch may have: nodes of one batch do not see each other.
	batchShare = 16
	minBatch   = 1024 // the greatest batch of small graphs
	maxShare   = 64   // and the part of all nodes that one may have in large ones
	buckets    = 64   // parts of the edges of a batch that one worker takes at a time

	fromBits = 28
)

// edge packs a link to be made from node to, on a level, to the node at a place in the batch.
func edge(to uint32, level, place int) uint64 {
	return uint64(to)<<33 | uint64(level)<<fromBits | uint64(place)
}

// run inserts all nodes of the order; the first is the entry node, to which the others link.
func (b *builder) run(ctx context.Context) error {
	ins := make([]*inserter, b.workers())
	for i := range ins {
		ins[i] = newInserter(b)
	}
	held := b.held()
	rest := len(b.order) - held
	if err := b.insertTo(ctx, ins, min(1, rest), rest); err != nil {
		return err
	}
	if held > 0 {
		queries := slices.Clone(b.order[rest:])
		slices.Sort(queries)
		if err := b.calibrate(ctx, queries); err != nil {
			return err
		}
		if err := b.insertTo(ctx, ins, rest, len(b.order)); err != nil {
			return err
		}
	}
	b.report.Finish()
	return nil
}

// insertTo inserts the nodes of the order from done to end.
func (b *builder) insertTo(ctx context.Context, ins []*inserter, done, end int) error {
	most := min(max(minBatch, len(b.order)/maxShare), 1<<fromBits)
	for done < end {
		size := min(max(1, done/batchShare), most, end-done)
		if err := b.batch(ctx, ins, b.order[done:done+size]); err != nil {
			return err
		}
		done += size
	}
	return nil
}

func (b *builder) batch(ctx context.Context, ins []*inserter, nodes []uint32) error {
	if err := each(ins, len(nodes), 4, func(in *inserter, i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := in.insert(ctx, nodes[i], i)
		b.report.Done(1)
		return err
	}); err != nil {
		return err
	}
	return each(ins, buckets, 1, func(in *inserter, bucket int) error {
		return in.join(ctx, ins, bucket, nodes)
	})
}

// each calls fn for 0 to count-1, step numbers at a time, on a goroutine for each inserter, and returns the first error.
func each(ins []*inserter, count, step int, fn func(in *inserter, i int) error) error {
	if count < 2*step || len(ins) == 1 {
		for i := range count {
			if err := fn(ins[0], i); err != nil {
				return err
			}
		}
		return nil
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(ins))
	for w, in := range ins {
		wg.Go(func() {
			for errs[w] == nil {
				from := int(next.Add(int64(step))) - step
				if from >= count {
					return
				}
				for i := from; i < min(from+step, count) && errs[w] == nil; i++ {
					errs[w] = fn(in, i)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// join makes the edges of a bucket, which all workers noted, known to the lists that they belong to.
func (in *inserter) join(ctx context.Context, ins []*inserter, bucket int, nodes []uint32) error {
	all := in.bucket[:0]
	for _, other := range ins {
		all = append(all, other.edges[bucket]...)
		other.edges[bucket] = other.edges[bucket][:0]
	}
	in.bucket = all
	slices.Sort(all)
	for len(all) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		list := all[0] >> fromBits
		in.from = in.from[:0]
		for len(all) > 0 && all[0]>>fromBits == list {
			in.from = append(in.from, nodes[all[0]&(1<<fromBits-1)])
			all = all[1:]
		}
		in.link(uint32(list>>5), int(list&31), in.from)
	}
	return nil
}
