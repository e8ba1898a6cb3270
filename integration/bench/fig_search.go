package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/integration/demo/data"
	"github.com/gyr-db/gyr/integration/demo/dataset"
	"github.com/gyr-db/gyr/integration/demo/measure"
	"github.com/gyr-db/gyr/integration/demo/packages"
)

// wantRecall is the recall@10 that the search figure measures at.
const wantRecall = 0.95

// measureSearch loads real embeddings into one sealed, indexed collection and measures recall, speed and processor time.
func measureSearch(ctx context.Context, e *Env) error {
	set, truth, err := e.searchData()
	if err != nil {
		return err
	}
	c := packages.Collection{Client: e.client, Name: e.name("search")}
	if err := c.Create(ctx, set.Vectors.Dim); err != nil {
		return err
	}
	defer e.drop(c.Name)
	if err := seal(ctx, c, set); err != nil {
		return err
	}
	e.add("rows", float64(len(set.Rows)), "")
	ef := 0
	for _, try := range []int{10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512} {
		recall, err := c.Recall10(ctx, set, truth, try)
		if err != nil {
			return err
		}
		e.add(fmt.Sprintf("recall@10, ef %d", try), recall, "")
		if recall >= wantRecall {
			ef = try
			break
		}
	}
	if ef == 0 {
		return fmt.Errorf("no ef up to 512 has a recall of %v", wantRecall)
	}
	e.add("ef measured", float64(ef), "")
	search := func(ctx context.Context, _, n int) error {
		q := set.QueryVectors.At(n % set.QueryVectors.Len())
		hits, err := c.Search(ctx, packages.Query{Vectors: [][]float32{q}, K: 10, Ef: ef, Deadline: 30 * time.Second})
		if err == nil && len(hits[0]) != 10 {
			return fmt.Errorf("search answers %d hits", len(hits[0]))
		}
		return err
	}
	if _, err := measure.Run(ctx, 1, time.Second, search); err != nil { // warm up
		return err
	}
	for _, clients := range []int{1, 4} {
		var stats measure.Stats
		used, ok, err := e.cpu(func() (err error) { stats, err = measure.Run(ctx, clients, e.length(), search); return })
		if err != nil {
			return err
		}
		prefix := fmt.Sprintf("%d client: ", clients)
		e.add(prefix+"searches", stats.PerSecond(), "/s")
		e.addLatency(prefix+"search", stats)
		if ok {
			e.add(prefix+"server CPU per search", float64(used.Microseconds())/float64(stats.Count), "us")
		}
	}
	return nil
}

func (e *Env) searchData() (*dataset.Set, [][]int64, error) {
	if e.cfg.DataDir != "" {
		set, err := dataset.Folder(e.cfg.DataDir)
		if err != nil {
			return nil, nil, err
		}
		return set, set.Truth, nil
	}
	set, err := data.Load()
	if err != nil {
		return nil, nil, err
	}
	return set, set.Exact(10), nil
}

// seal inserts, flushes, indexes and loads.
func seal(ctx context.Context, c packages.Collection, set *dataset.Set) error {
	for from := 0; from < len(set.Rows); from += packages.BatchRows {
		if err := c.Insert(ctx, set, from, min(from+packages.BatchRows, len(set.Rows))); err != nil {
			return err
		}
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	if err := c.CreateIndex(ctx); err != nil {
		return err
	}
	if err := c.WaitIndex(ctx, func(int64, int64) {}); err != nil {
		return err
	}
	return c.Load(ctx)
}
