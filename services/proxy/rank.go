package proxy

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/errs"
)

const (
	strategyRRF      = "rrf"
	strategyWeighted = "weighted"
	defaultRRFK      = 60
)

// ranker joins the hits of several searches of one query: the score of a row is the sum of what each search gives it.
type ranker struct {
	// part returns what search s gives a hit of that score at that rank (from 1).
	part func(s, rank int, score float32) float64
	asc  bool // a smaller sum is better
}

func (r ranker) join(lists [][]hit) []hit {
	sums := map[hitKey]float64{}
	rows := map[hitKey]hit{}
	for s, hits := range lists {
		for i, h := range hits {
			sums[h.key()] += r.part(s, i+1, h.score)
			if old, seen := rows[h.key()]; !seen || h.ts > old.ts {
				rows[h.key()] = h
			}
		}
	}
	out := make([]hit, 0, len(rows))
	for k, h := range rows {
		h.score = float32(sums[k])
		out = append(out, h)
	}
	return mergeHits([][]hit{out}, r.asc)
}

// parseRanker reads the ranker from the rank parameters, or from a function, which wins.
func parseRanker(req *milvuspb.HybridSearchRequest, params paramSet, metrics []string) (ranker, error) {
	strategy := strings.ToLower(params["strategy"])
	if fs := req.FunctionScore; fs != nil && len(fs.Functions) > 0 {
		if len(fs.Functions) > 1 {
			return ranker{}, notBuilt("more than one rank function")
		}
		f := fs.Functions[0]
		if f.Type != schemapb.FunctionType_Rerank {
			return ranker{}, errs.Invalid("function %s is no rerank function", f.Name)
		}
		var err error
		if params, err = functionParams(f.Params); err != nil {
			return ranker{}, err
		}
		if strategy = strings.ToLower(params["reranker"]); strategy != strategyRRF && strategy != strategyWeighted {
			return ranker{}, notBuilt("reranker " + strategy)
		}
	}
	switch strategy {
	case "", strategyRRF:
		return rrf(params)
	case strategyWeighted:
		return weighted(params, metrics)
	}
	return ranker{}, errs.Invalid("unsupported rank type %s", strategy)
}

func functionParams(kvs []*commonpb.KeyValuePair) (paramSet, error) {
	return readParams(kvs)
}

// rrf is reciprocal rank fusion: 1/(k + rank).
func rrf(params paramSet) (ranker, error) {
	k, err := params.float("k")
	if err != nil {
		return ranker{}, err
	}
	if k == nil {
		def := float64(defaultRRFK)
		k = &def
	}
	if *k <= 0 || *k >= 16384 {
		return ranker{}, errs.Invalid("The rank params k should be in range (0, %d)", 16384)
	}
	return ranker{part: func(_, rank int, _ float32) float64 { return 1 / (*k + float64(rank)) }}, nil
}

// weighted sums the scores with weights. Scores of several metrics are brought to one direction first; norm_score brings
// them to 0..1 in any case.
func weighted(params paramSet, metrics []string) (ranker, error) {
	weights, err := parseWeights(params["weights"], len(metrics))
	if err != nil {
		return ranker{}, err
	}
	norm, err := params.boolean("norm_score")
	if err != nil {
		return ranker{}, err
	}
	smaller := 0
	for _, m := range metrics {
		if ascending(m) {
			smaller++
		}
	}
	mixed := smaller > 0 && smaller < len(metrics)
	return ranker{
		asc: smaller == len(metrics) && !norm,
		part: func(s, _ int, score float32) float64 {
			return weights[s] * comparableScore(metrics[s], float64(score), norm, mixed)
		},
	}, nil
}

func parseWeights(text string, want int) ([]float64, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errs.Invalid("rank param weights is required")
	}
	var raw []any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, errs.Invalid("The weights param should be an array: %s", text)
	}
	out := make([]float64, 0, len(raw))
	for _, v := range raw {
		w, ok := v.(float64)
		if s, isText := v.(string); isText {
			parsed, err := strconv.ParseFloat(s, 64)
			w, ok = parsed, err == nil
		}
		if !ok {
			return nil, errs.Invalid("The type of rank param weight should be float: %v", v)
		}
		out = append(out, w)
	}
	if len(out) != want {
		return nil, errs.Invalid("the length of weights param mismatch with ann search requests: invalid parameter[expected=%d][actual=%d]", want, len(out))
	}
	if slices.ContainsFunc(out, func(w float64) bool { return w < 0 || w > 1 }) {
		return nil, errs.Invalid("rank param weight should be in range [0, 1]")
	}
	return out, nil
}

// comparableScore maps a score of one metric so that a larger one is better where that is needed.
func comparableScore(metric string, score float64, norm, mixed bool) float64 {
	switch {
	case ascending(metric) && (norm || mixed):
		return 1 - 2*math.Atan(score)/math.Pi
	case metric == "COSINE" && norm:
		return (1 + score) * 0.5
	case metric == "IP" && norm:
		return 0.5 + math.Atan(score)/math.Pi
	}
	return score
}
