package proxy

import (
	"encoding/json"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// In JSON, vectors of float32 and int8 are lists of numbers. Those of half precision are either such lists or the stored
// bytes in base64, and binary ones always the bytes; in answers both are bytes.

// restVector reads a vector of a packed type for a row.
func restVector(f *schema.Field, raw json.RawMessage) ([]byte, error) {
	v, err := packedJSON(f, raw)
	if err == nil && len(v) != f.Type.RowBytes(f.Dim) {
		return nil, errs.Invalid("a vector of %d bytes, not of the %d of dimension %d", len(v), f.Type.RowBytes(f.Dim), f.Dim)
	}
	return v, err
}

// restQueryVector reads a query for a search on f; its length is checked with the request.
func restQueryVector(f *schema.Field, raw json.RawMessage) ([]byte, error) {
	if f.Type.IsPacked() {
		v, err := packedJSON(f, raw)
		if err != nil {
			return nil, errs.Invalid("data: a query is no %s: %s", f.Type, clip(raw))
		}
		return v, nil
	}
	var v []float32
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, errs.Invalid("data: a query is no list of numbers: %s", clip(raw))
	}
	return vectorBytes(nil, v), nil
}

func packedJSON(f *schema.Field, raw json.RawMessage) (out []byte, err error) {
	list := strings.HasPrefix(strings.TrimSpace(string(raw)), "[")
	switch {
	case f.Type == schema.Int8Vector:
		var v []int8
		if err = json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
		for _, x := range v {
			out = append(out, byte(x))
		}
		return out, nil
	case isHalf(f.Type) && list:
		var v []float32
		if err = json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
		return halves(f.Type, v), nil
	case list: // Go would take numbers for bytes
		return nil, errs.New(restBadRows, "a list")
	}
	err = json.Unmarshal(raw, &out)
	return out, err
}

func int8s(raw []byte) []int8 {
	out := make([]int8, len(raw))
	for i, b := range raw {
		out[i] = int8(b)
	}
	return out
}
