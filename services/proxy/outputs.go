package proxy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// outputs is what a read returns of its rows.
type outputs struct {
	c      *catalog.Collection
	zone   *time.Location  // of the times shown
	fields []*schema.Field // columns, in the order of the answer
	names  []string        // output_fields of the answer
	// dynamicKeys limit the dynamic column to some keys; nil shows all of it.
	dynamicKeys []string
}

// parseOutputs resolves the names that a user asked for: fields, `*`, the dynamic field, and keys of it. always adds
// the primary key, which comes last otherwise only when it was asked for.
func parseOutputs(c *catalog.Collection, asked []string, always bool) (*outputs, error) {
	out := &outputs{c: c, zone: zoneOf(c)}
	pk, dynamic := c.Schema.PrimaryKey(), c.Schema.DynamicField()
	chosen := map[int64]bool{}
	wholeDynamic, wantsKey := false, always
	addName := func(name string) {
		if !slices.Contains(out.names, name) {
			out.names = append(out.names, name)
		}
	}
	for _, name := range asked {
		name = strings.TrimSpace(name)
		switch f := c.Schema.Field(name); {
		case name == "*":
			for i := range c.Schema.Fields {
				f := &c.Schema.Fields[i]
				chosen[f.ID] = true
				addName(f.Name)
			}
			wantsKey = true
			wholeDynamic = dynamic != nil
		case f != nil && f.Dynamic:
			chosen[f.ID], wholeDynamic = true, true
			addName(name)
		case f != nil && f.PrimaryKey:
			wantsKey = true
			addName(name)
		case f != nil:
			chosen[f.ID] = true
			addName(name)
		case dynamic != nil:
			key, err := dynamicKey(name)
			if err != nil {
				return nil, err
			}
			chosen[dynamic.ID] = true
			if !slices.Contains(out.dynamicKeys, key) {
				out.dynamicKeys = append(out.dynamicKeys, key)
			}
			addName(name)
		default:
			return nil, errs.Invalid("field %s not exist", name)
		}
	}
	if wholeDynamic {
		out.dynamicKeys = nil
	}
	for i := range c.Schema.Fields {
		if f := &c.Schema.Fields[i]; chosen[f.ID] && f != pk {
			out.fields = append(out.fields, f)
		}
	}
	if wantsKey {
		out.fields = append(out.fields, pk)
		addName(pk.Name)
	}
	return out, nil
}

// dynamicKey reads the name of an undeclared field: a word, or $meta["key"].
func dynamicKey(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, schema.DynamicFieldName+"["); ok {
		if quoted, ok := strings.CutSuffix(rest, "]"); ok && len(quoted) >= 2 && (quoted[0] == '"' || quoted[0] == '\'') {
			if key, err := strconv.Unquote(`"` + quoted[1:len(quoted)-1] + `"`); err == nil && key != "" {
				return key, nil
			}
		}
		return "", errs.Invalid("the output field %s cannot be read", name)
	}
	if name == "" || strings.ContainsAny(name, `[]"'(){}`) {
		return "", errs.Invalid("field %s not exist", name)
	}
	return name, nil
}

// ids are the fields to ask nodes for.
func (o *outputs) ids() []int64 {
	out := make([]int64, len(o.fields))
	for i, f := range o.fields {
		out[i] = f.ID
	}
	return out
}

// columns returns a batch in the API's form, one typed column per field, also of no rows.
func (o *outputs) columns(b *schema.Batch) ([]*schemapb.FieldData, error) {
	out := make([]*schemapb.FieldData, 0, len(o.fields))
	for _, f := range o.fields {
		col := b.Column(f.ID)
		if col == nil {
			if b.N > 0 {
				return nil, errs.New(errs.Internal, "a query node did not return field %s", f.Name)
			}
			col = schema.NewColumn(f)
		}
		if f.Dynamic {
			col = o.dynamicColumn(col)
		}
		out = append(out, shownForm(f, publicColumn(f, col), o.zone))
	}
	return out, nil
}

// dynamicColumn limits the documents to the keys asked for; rows that have none get an empty object.
func (o *outputs) dynamicColumn(c *schema.Column) *schema.Column {
	out := &schema.Column{Field: c.Field, Type: c.Type, N: c.N, Bytes: documents(c, string(emptyDocument))}
	if o.dynamicKeys == nil {
		return out
	}
	for i, doc := range out.Bytes {
		out.Bytes[i] = pickKeys(doc, o.dynamicKeys)
	}
	return out
}

// pickKeys returns a JSON object with only some of doc's keys.
func pickKeys(doc []byte, keys []string) []byte {
	var all map[string]json.RawMessage
	if json.Unmarshal(doc, &all) != nil {
		return emptyDocument // no writer lets one in that is no object
	}
	some := make(map[string]json.RawMessage, len(keys))
	for _, k := range keys {
		if v, ok := all[k]; ok {
			some[k] = v
		}
	}
	raw, err := json.Marshal(some)
	if err != nil {
		return emptyDocument
	}
	return raw
}
