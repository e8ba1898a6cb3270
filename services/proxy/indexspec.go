package proxy

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/schema"
)

const (
	keyIndexType  = "index_type"
	keyMetricType = "metric_type"
	keyParams     = "params"
	autoIndex     = index.TypeAuto
)

// resolveIndex reads the parameters of a request to create an index: what the user is shown later, and what is built.
func resolveIndex(sch *schema.Schema, name string, kvs []*commonpb.KeyValuePair) (*catalog.Index, error) {
	flat, order, err := flattenParams(kvs)
	if err != nil {
		return nil, err
	}
	f, err := indexedField(sch, name, order)
	if err != nil {
		return nil, err
	}
	out := &catalog.Index{FieldID: f.ID, UserParams: order}
	kind, metric := flat[keyIndexType], strings.ToUpper(flat[keyMetricType])
	params := maps.Clone(flat)
	delete(params, keyIndexType)
	delete(params, keyMetricType)
	if !f.Type.IsVector() {
		return out, resolveScalarIndex(out, f, name, params)
	}
	auto := kind == "" || kind == autoIndex
	spec := index.SpecOf(f, kind, metric, params)
	if auto {
		spec.Type = autoIndex
	}
	resolved, err := index.Resolve(spec)
	if err != nil {
		return nil, err
	}
	out.Type, out.Metric, out.Params = resolved.Type, resolved.Metric, resolved.Params
	out.UserParams = shownParams(order, kind, resolved.Metric)
	return out, nil
}

// shownParams is what DescribeIndex shows: what the user gave, with the type and the metric that stand for a missing one.
func shownParams(given []schema.KV, kind, metric string) []schema.KV {
	out := make([]schema.KV, 0, len(given)+2)
	seen := map[string]bool{}
	for _, kv := range given {
		seen[kv.Key] = true
		if kv.Key == keyMetricType {
			kv.Value = metric
		}
		if kv.Key == keyIndexType && kind == "" {
			kv.Value = autoIndex
		}
		out = append(out, kv)
	}
	if !seen[keyIndexType] {
		out = append(out, schema.KV{Key: keyIndexType, Value: autoIndex})
	}
	if !seen[keyMetricType] {
		out = append(out, schema.KV{Key: keyMetricType, Value: metric})
	}
	return out
}

// flattenParams turns the pairs of a request, of which one may hold a JSON object with more, into one map and the order
// in which they came.
func flattenParams(kvs []*commonpb.KeyValuePair) (map[string]string, []schema.KV, error) {
	flat := map[string]string{}
	var order []schema.KV
	add := func(k, v string) error {
		if _, twice := flat[k]; twice {
			return errs.Invalid("duplicated index param (key=%s) (value=%s) found", k, v)
		}
		flat[k] = v
		order = append(order, schema.KV{Key: k, Value: v})
		return nil
	}
	for _, kv := range kvs {
		if kv.Key != keyParams {
			if err := add(kv.Key, kv.Value); err != nil {
				return nil, nil, err
			}
			continue
		}
		inner, keys, err := jsonParams(kv.Value)
		if err != nil {
			return nil, nil, err
		}
		for _, k := range keys {
			if err := add(k, inner[k]); err != nil {
				return nil, nil, err
			}
		}
	}
	return flat, order, nil
}

// jsonParams reads a JSON object of parameters, each value as text, with its keys in their order.
func jsonParams(text string) (map[string]string, []string, error) {
	out := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return out, nil, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errs.Invalid("the value of params is no JSON object: %s", text)
	}
	var keys []string
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, nil, errs.Invalid("the value of params is no JSON object: %s", text)
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, nil, errs.Invalid("the value of params is no JSON object: %s", text)
		}
		key := fmt.Sprint(k)
		if _, twice := out[key]; !twice {
			keys = append(keys, key)
		}
		out[key] = paramText(v)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, errs.Invalid("the value of params is no JSON object: %s", text)
	}
	return out, keys, nil
}

func paramText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any, []any:
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(raw)
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// resolveScalarIndex checks an index on a scalar field. Seals and merges write it into the segments' files, in a form
// that the values decide (package segment); no build of its own is waited for, so it is described as finished. Filters
// give the same answers with and without.
func resolveScalarIndex(out *catalog.Index, f *schema.Field, asked string, params map[string]string) error {
	for _, kv := range out.UserParams {
		if kv.Key == keyIndexType {
			out.Type = kv.Value
		}
	}
	if out.Type == "" {
		out.Type = autoIndex
	}
	out.Params = params
	if !hasKey(out.UserParams, keyIndexType) {
		out.UserParams = append(out.UserParams, schema.KV{Key: keyIndexType, Value: out.Type})
	}
	if f.Type == schema.JSON {
		if err := checkJSONIndex(out.Type, params); err != nil {
			return err
		}
		return placeJSONIndex(out, f, asked, params)
	}
	if f.Form == schema.Geometry {
		if kind := strings.ToUpper(out.Type); kind != autoIndex && kind != "RTREE" {
			return errs.Invalid("index type %s is not supported on a Geometry field", out.Type)
		}
		return nil
	}
	base := f.Type
	if f.Type == schema.Array {
		base = f.Elem
	}
	number := base.IsInt() || base == schema.Float || base == schema.Double
	switch strings.ToUpper(out.Type) {
	case autoIndex:
		return nil
	case "INVERTED":
		return nil
	case "BITMAP":
		switch {
		case f.PrimaryKey:
			return errs.Invalid("create bitmap index on primary key not supported")
		case base == schema.Bool || base.IsInt() || base == schema.VarChar:
			return nil
		}
		return errs.Invalid("bitmap index are only supported on bool, int, string")
	case "STL_SORT":
		if f.Type != schema.Array && (number || base == schema.VarChar) {
			return nil
		}
		return errs.Invalid("STL_SORT are only supported on numeric, varchar or timestamptz field")
	case "TRIE":
		if f.Type == schema.VarChar {
			return nil
		}
		return errs.Invalid("TRIE are only supported on varchar field")
	case "NGRAM":
		return notBuilt("index type NGRAM")
	}
	return errs.Invalid("invalid index type: %s", out.Type)
}

// checkJSONIndex checks the type of an index on documents against the type that their values are taken for.
func checkJSONIndex(kind string, params map[string]string) error {
	kind, cast := strings.ToUpper(kind), strings.ToUpper(params["json_cast_type"])
	switch kind {
	case autoIndex, "INVERTED":
	case "BITMAP":
		if cast != "" && cast != "BOOL" && cast != "VARCHAR" {
			return errs.Invalid("bitmap index on JSON only supports the cast types BOOL and VARCHAR, not %s", cast)
		}
	case "STL_SORT":
		if cast != "" && cast != "DOUBLE" && cast != "VARCHAR" {
			return errs.Invalid("STL_SORT on JSON only supports the cast types DOUBLE and VARCHAR, not %s", cast)
		}
	case "NGRAM":
		return notBuilt("index type NGRAM")
	case "TRIE":
		return errs.Invalid("TRIE are only supported on varchar field")
	default:
		return errs.Invalid("invalid index type: %s", kind)
	}
	switch cast {
	case "BOOL", "DOUBLE", "VARCHAR", "JSON", "ARRAY_BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR":
		return nil
	case "":
		if kind == autoIndex {
			return nil
		}
		return errs.Invalid("json index must specify cast type")
	}
	return errs.Invalid("index params[json_cast_type] error: invalid cast type: %s", params["json_cast_type"])
}

func hasKey(kvs []schema.KV, key string) bool {
	for _, kv := range kvs {
		if kv.Key == key {
			return true
		}
	}
	return false
}
