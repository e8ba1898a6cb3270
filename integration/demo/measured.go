package demo

import (
	"context"
	"time"

	"github.com/gyr-db/gyr/integration/demo/measure"
	"github.com/gyr-db/gyr/integration/demo/packages"
)

// goodRecall is what the speed is measured at.
const goodRecall = 0.95

// recall prints recall@10 by ef and picks the smallest ef that is good.
func (r *run) recall(ctx context.Context) error {
	r.out.title("Recall@10 (share of the true ten nearest that a search finds)")
	efs := []int{16, 32, 64, 128, 256}
	r.ef = efs[len(efs)-1]
	found := false
	for _, ef := range efs {
		recall, err := r.coll.Recall10(ctx, r.set, r.truth, ef)
		if err != nil {
			return err
		}
		mark := ""
		if recall >= goodRecall && !found {
			r.ef, found, mark = ef, true, "   <- measured below"
		}
		r.out.line("ef %-4d  %.4f%s", ef, recall, mark)
	}
	return nil
}

// speed prints throughput and latency of single-query searches.
func (r *run) speed(ctx context.Context) error {
	r.out.title("Speed (ten nearest, one query a request)")
	for _, clients := range []int{1, 4} {
		stats, err := measure.Run(ctx, clients, time.Duration(r.cfg.Seconds)*time.Second, func(ctx context.Context, _, n int) error {
			q := r.set.QueryVectors.At(n % r.set.QueryVectors.Len())
			_, err := r.coll.Search(ctx, packages.Query{Vectors: [][]float32{q}, K: 10, Ef: r.ef, Deadline: 30 * time.Second})
			return err
		})
		if err != nil {
			return err
		}
		r.out.line("%d client%s  %s searches a second   p50 %s   p99 %s", clients, plural(clients), thousands(int(stats.PerSecond())),
			short(stats.Quantile(0.5)), short(stats.Quantile(0.99)))
	}
	return nil
}
