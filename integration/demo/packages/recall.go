package packages

import (
	"context"

	"github.com/gyr-db/gyr/integration/demo/dataset"
)

// searchBatch is how many query vectors go into one request when only the answers count, not their speed.
const searchBatch = 50

// Recall10 asks every query of the data set at the given ef and returns the share of the true ten nearest that came back.
func (c Collection) Recall10(ctx context.Context, set *dataset.Set, truth [][]int64, ef int) (float64, error) {
	var answers [][]int64
	for from := 0; from < set.QueryVectors.Len(); from += searchBatch {
		q := Query{K: 10, Ef: ef, Strong: true}
		for i := from; i < min(from+searchBatch, set.QueryVectors.Len()); i++ {
			q.Vectors = append(q.Vectors, set.QueryVectors.At(i))
		}
		hits, err := c.Search(ctx, q)
		if err != nil {
			return 0, err
		}
		answers = append(answers, IDs(hits)...)
	}
	return dataset.Recall(truth, answers, 10), nil
}
