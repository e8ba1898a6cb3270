package proxy

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// groupedField finds what a name groups by: a field, or a path into a JSON field or the dynamic one, such as doc["a"][0].
func groupedField(c *catalog.Collection, name string) (*schema.Field, []string, error) {
	if f := c.Schema.Field(name); f != nil {
		return f, nil, nil
	}
	missing := errs.Invalid("groupBy field not found in schema: field not found[field=%s]", name)
	steps, err := pathSteps(name)
	if err != nil {
		return nil, nil, missing
	}
	f, dynamic := c.Schema.Field(steps[0]), c.Schema.DynamicField()
	switch {
	case f != nil && f.Type == schema.JSON:
		return f, steps[1:], nil
	case f == nil && dynamic != nil:
		return dynamic, steps, nil
	}
	return nil, nil, missing
}

// jsonKey is the value at a path of a document. Numbers are the same when their values are, objects and arrays when their
// texts without blanks are; a missing value is a null.
func jsonKey(doc []byte, path []string) groupKey {
	raw := json.RawMessage(doc)
	for _, step := range path {
		raw = jsonStep(raw, step)
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return groupKey{null: true}
	}
	if v, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return groupKey{s: "n" + strconv.FormatInt(v, 10)}
	}
	if v, err := strconv.ParseFloat(string(raw), 64); err == nil {
		return groupKey{s: "n" + strconv.FormatFloat(v, 'f', -1, 64)}
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return groupKey{s: "s" + text}
	}
	var flat bytes.Buffer
	if json.Compact(&flat, raw) != nil {
		return groupKey{null: true}
	}
	return groupKey{s: "j" + flat.String()}
}

// jsonStep is a member of an object or an element of an array; nil when there is none.
func jsonStep(raw json.RawMessage, step string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil {
		return object[step]
	}
	var list []json.RawMessage
	if i, err := strconv.Atoi(step); err == nil && json.Unmarshal(raw, &list) == nil && i >= 0 && i < len(list) {
		return list[i]
	}
	return nil
}
