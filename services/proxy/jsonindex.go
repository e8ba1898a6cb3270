package proxy

import (
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

const keyJSONPath = "json_path"

// indexedField finds the field that a request to create an index means. With a dynamic field, a name that no field has
// is a key of its documents.
func indexedField(s *schema.Schema, name string, params []schema.KV) (*schema.Field, error) {
	if f := s.Field(name); f != nil {
		return f, nil
	}
	if f := s.DynamicField(); f != nil && hasKey(params, "json_cast_type") {
		return f, nil
	}
	return nil, errs.Invalid("cannot create index on non-exist field: %s", name)
}

// placeJSONIndex notes in an index on documents which path it is of: the field itself when none is given. A field may
// have one index per path.
func placeJSONIndex(out *catalog.Index, f *schema.Field, asked string, params map[string]string) error {
	path := params[keyJSONPath]
	if path == "" {
		path = asked
		out.UserParams = append(out.UserParams, schema.KV{Key: keyJSONPath, Value: path})
	}
	steps, err := pathSteps(path)
	if err != nil {
		return err
	}
	if !f.Dynamic {
		if steps[0] != f.Name {
			return errs.Invalid("the json_path %s is not of field %s", path, f.Name)
		}
	} else if steps[0] == schema.DynamicFieldName && len(steps) > 1 {
		steps = steps[1:]
	}
	params[keyJSONPath] = strings.Join(steps, "/")
	return nil
}

// pathSteps splits a path such as doc["a"][0]: the name, then keys and places.
func pathSteps(path string) ([]string, error) {
	end := strings.IndexByte(path, '[')
	if end < 0 {
		end = len(path)
	}
	steps, rest := []string{path[:end]}, path[end:]
	wrong := errs.Invalid("invalid json path: %s", path)
	if nameFault("field name", strings.TrimPrefix(steps[0], "$")) != "" {
		return nil, wrong
	}
	for rest != "" {
		if rest[0] != '[' || len(rest) < 3 {
			return nil, wrong
		}
		closing := "]"
		if rest[1] == '"' || rest[1] == '\'' {
			closing = rest[1:2] + "]"
		}
		start := len(closing)
		end := strings.Index(rest[start:], closing)
		if end <= 0 {
			return nil, wrong
		}
		step := rest[start : start+end]
		if closing == "]" && strings.Trim(step, "0123456789") != "" {
			return nil, wrong
		}
		// A key may hold the separator.
		steps = append(steps, strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
		rest = rest[start+end+len(closing):]
	}
	return steps, nil
}

// indexFieldName is the field that users see an index on: of an index on the dynamic field, the key.
func indexFieldName(c *catalog.Collection, def *catalog.Index) string {
	f := c.Schema.FieldByID(def.FieldID)
	if f == nil {
		return ""
	}
	if name, _, _ := strings.Cut(def.Params[keyJSONPath], "/"); f.Dynamic && name != "" {
		return name
	}
	return f.Name
}

// defaultIndexName names an index whose request gives no name: after the index that the field, or the path, has, so that
// the same request again means the same index, else after the field.
func defaultIndexName(c *catalog.Collection, def *catalog.Index) string {
	at := slices.IndexFunc(c.Indexes, func(have catalog.Index) bool {
		return have.FieldID == def.FieldID && have.Params[keyJSONPath] == def.Params[keyJSONPath]
	})
	if at >= 0 {
		return c.Indexes[at].Name
	}
	if path := def.Params[keyJSONPath]; path != "" {
		return path
	}
	return c.Schema.FieldByID(def.FieldID).Name
}
