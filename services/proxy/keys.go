package proxy

import (
	"cmp"
	"strconv"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/schema"
)

// gatherKeys returns the keys at the given places.
func gatherKeys(k schema.Keys, at []int) schema.Keys {
	var out schema.Keys
	for _, i := range at {
		appendKey(&out, k, i)
	}
	return out
}

func appendKey(dst *schema.Keys, src schema.Keys, i int) {
	if src.Strings != nil {
		dst.Strings = append(dst.Strings, src.Strings[i])
	} else {
		dst.Ints = append(dst.Ints, src.Ints[i])
	}
}

// keyAt is key i in a form that maps accept.
func keyAt(k schema.Keys, i int) any {
	if k.Strings != nil {
		return k.Strings[i]
	}
	return k.Ints[i]
}

func compareKeys(a schema.Keys, i int, b schema.Keys, j int) int {
	if a.Strings != nil {
		return cmp.Compare(a.Strings[i], b.Strings[j])
	}
	return cmp.Compare(a.Ints[i], b.Ints[j])
}

// publicIDs is a key list in the API's form; of no keys, an empty list of the key's type.
func publicIDs(pk *schema.Field, k schema.Keys) *schemapb.IDs {
	if pk.Type == schema.VarChar {
		return &schemapb.IDs{IdField: &schemapb.IDs_StrId{StrId: &schemapb.StringArray{Data: k.Strings}}}
	}
	return &schemapb.IDs{IdField: &schemapb.IDs_IntId{IntId: &schemapb.LongArray{Data: k.Ints}}}
}

// generatedKeys turns ids into keys of the primary key's type.
func generatedKeys(pk *schema.Field, ids []int64) schema.Keys {
	if pk.Type != schema.VarChar {
		return schema.Keys{Ints: ids}
	}
	out := schema.Keys{Strings: make([]string, len(ids))}
	for i, id := range ids {
		out.Strings[i] = strconv.FormatInt(id, 10)
	}
	return out
}

// keyColumn is the primary key column of keys.
func keyColumn(pk *schema.Field, k schema.Keys) *schema.Column {
	c := schema.NewColumn(pk)
	c.Ints, c.Strings, c.N = k.Ints, k.Strings, k.Len()
	return c
}
