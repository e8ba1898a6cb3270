package proxy

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
)

// Limits of the API on reads.
const (
	maxTopK       = 16384
	maxNQ         = 16384
	maxSubRequest = 1024
)

// paramSet are the parameters of a read: flat pairs, and those in the JSON object of the pair `params`, which SDKs
// fill with the same keys again. A flat pair wins.
type paramSet map[string]string

func readParams(kvs []*commonpb.KeyValuePair) (paramSet, error) {
	out := paramSet{}
	var nested []string
	for _, kv := range kvs {
		if kv.Key == keyParams {
			nested = append(nested, kv.Value)
			continue
		}
		out[kv.Key] = kv.Value
	}
	for _, text := range nested {
		inner, _, err := jsonParams(text)
		if err != nil {
			return nil, err
		}
		for k, v := range inner {
			if _, flat := out[k]; !flat {
				out[k] = v
			}
		}
	}
	return out, nil
}

// boolean reads a boolean as any SDK writes it; absent is false.
func (s paramSet) boolean(key string) (bool, error) {
	text := strings.TrimSpace(s[key])
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, errs.Invalid("%s [%s] is invalid, it should be true or false", key, text)
	}
	return v, nil
}

// number reads a whole number; ok tells whether there is one.
func (s paramSet) number(key string) (v int64, ok bool, err error) {
	text := strings.TrimSpace(s[key])
	if text == "" {
		return 0, false, nil
	}
	v, err = strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, errs.Invalid("%s [%s] is invalid", key, text)
	}
	return v, true, nil
}

func (s paramSet) float(key string) (*float64, error) {
	text := strings.TrimSpace(s[key])
	if text == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) {
		return nil, errs.Invalid("%s [%s] is invalid, it should be a number", key, text)
	}
	return &v, nil
}

// refuse reports parameters that ask for what is not built.
func (s paramSet) refuse(keys ...string) error {
	for _, k := range keys {
		if v := strings.TrimSpace(s[k]); v != "" && v != "[]" && v != "{}" && !strings.EqualFold(v, "false") {
			return notBuilt("parameter " + k)
		}
	}
	return nil
}

// roundDecimal reads to how many decimal places scores are rounded; -1 is not at all.
func (s paramSet) roundDecimal() (int, error) {
	v, ok, err := s.number("round_decimal")
	if err != nil || !ok {
		return -1, err
	}
	if v < -1 || v > 6 {
		return 0, errs.Invalid("round_decimal [%d] is invalid, it should be -1 or an integer in range [0, 6]", v)
	}
	return int(v), nil
}

// indexParams are the parameters that go to the index.
func (s paramSet) indexParams() map[string]string {
	known := index.SearchParams()
	out := map[string]string{}
	for k, v := range s {
		if slices.Contains(known, k) && v != "" {
			out[k] = v
		}
	}
	return out
}
