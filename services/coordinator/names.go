package coordinator

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// maxName is the longest name, in bytes.
const maxName = 255

// checkName says why a name of a database, collection or alias cannot be taken. what is the word for it in the message.
func checkName(what, name string) error {
	switch {
	case name == "":
		return errs.Invalid("Invalid %s name: %s. the %s name should not be empty", what, name, what)
	case len(name) > maxName:
		return errs.Invalid("Invalid %s name: %s. the length of a %s name must be less than %d characters", what, name, what, maxName)
	case !isLetter(name[0]):
		return errs.Invalid("Invalid %s name: %s. the first character of a %s name must be an underscore or letter", what, name, what)
	}
	if strings.ContainsFunc(name[1:], func(r rune) bool { return r > 127 || !isLetter(byte(r)) && !isDigit(byte(r)) }) {
		return errs.Invalid("Invalid %s name: %s. %s name can only contain numbers, letters and underscores", what, name, what)
	}
	return nil
}

// checkPartitionName is checkName for partitions, whose names may start with a digit and contain hyphens.
func checkPartitionName(name string) error {
	switch {
	case name == "":
		return errs.Invalid("Invalid partition name: %s. Partition name should not be empty.", name)
	case len(name) > maxName:
		return errs.Invalid("Invalid partition name: %s. The length of a partition name must be less than %d characters.", name, maxName)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > 127 || !isLetter(byte(r)) && !isDigit(byte(r)) && r != '-' }) {
		return errs.Invalid("Invalid partition name: %s. Partition name can only contain numbers, letters, underscores and hyphens.", name)
	}
	return nil
}

func isLetter(b byte) bool { return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }
func isDigit(b byte) bool  { return b >= '0' && b <= '9' }

// checkSchema says why a schema is beyond the limits. The proxy has checked each field by itself.
func checkSchema(s *schema.Schema, limits Limits) error {
	user := 0
	for _, f := range s.Fields {
		if !f.Dynamic {
			user++
		}
	}
	vectors := len(s.VectorFields())
	switch {
	case user > limits.Fields:
		return errs.Invalid("maximum field's number should be limited to %d", limits.Fields)
	case vectors > limits.Vectors:
		return errs.Invalid("maximum vector field's number should be limited to %d", limits.Vectors)
	case vectors == 0:
		return errs.Invalid("schema does not contain vector field")
	case s.PrimaryKey() == nil:
		return errs.Invalid("primary key is not specified")
	}
	names := map[string]bool{}
	for _, f := range s.Fields {
		if names[f.Name] {
			return errs.Invalid("duplicated field name %s", f.Name)
		}
		names[f.Name] = true
	}
	return nil
}

// sameDefinition reports whether a collection was made with the same parameters as wanted.
func sameDefinition(have, wanted *catalog.Collection) bool {
	return have.Description == wanted.Description && have.Consistency == wanted.Consistency &&
		have.NumPartitions == wanted.NumPartitions && len(have.ShardLogs) == len(wanted.ShardLogs) &&
		maps.Equal(have.Properties, wanted.Properties) && sameSchema(&have.Schema, &wanted.Schema)
}

func sameSchema(a, b *schema.Schema) bool {
	return a.EnableDynamic == b.EnableDynamic && slices.EqualFunc(a.Fields, b.Fields, sameField)
}

func sameField(a, b schema.Field) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Description == b.Description && a.Type == b.Type && a.Elem == b.Elem &&
		a.PrimaryKey == b.PrimaryKey && a.AutoID == b.AutoID && a.PartitionKey == b.PartitionKey && a.Nullable == b.Nullable &&
		a.Dynamic == b.Dynamic && a.Dim == b.Dim && a.MaxLength == b.MaxLength && a.MaxCapacity == b.MaxCapacity &&
		reflect.DeepEqual(a.Default, b.Default) && sameKVs(a.TypeParams, b.TypeParams)
}

// sameKVs compares pairs without regard to their order.
func sameKVs(a, b []schema.KV) bool { return maps.Equal(kvMap(a), kvMap(b)) && len(a) == len(b) }

func kvMap(kvs []schema.KV) map[string]string {
	m := make(map[string]string, len(kvs))
	for _, kv := range kvs {
		m[kv.Key] = kv.Value
	}
	return m
}

// sameIndex reports whether two definitions would build the same index under the same name.
func sameIndex(a, b *catalog.Index) bool {
	return a.FieldID == b.FieldID && a.Name == b.Name && a.Type == b.Type && a.Metric == b.Metric &&
		maps.Equal(a.Params, b.Params) && sameKVs(a.UserParams, b.UserParams)
}

// setKVs returns kvs with some pairs set and some removed; the order of what stays is kept.
func setKVs(kvs []schema.KV, set map[string]string, remove []string) []schema.KV {
	out := make([]schema.KV, 0, len(kvs)+len(set))
	seen := map[string]bool{}
	for _, kv := range kvs {
		if slices.Contains(remove, kv.Key) {
			continue
		}
		if v, ok := set[kv.Key]; ok {
			kv.Value = v
			seen[kv.Key] = true
		}
		out = append(out, kv)
	}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if !seen[k] {
			out = append(out, schema.KV{Key: k, Value: set[k]})
		}
	}
	return out
}

// setProperties returns a copy of props with some set and some removed.
func setProperties(props, set map[string]string, remove []string) map[string]string {
	out := maps.Clone(props)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, set)
	for _, k := range remove {
		delete(out, k)
	}
	return out
}

// placeShards puts n new shards on the logs that carry the fewest; ties go to the lowest number. counts is by log.
func placeShards(counts []int, n int) []int {
	counts = slices.Clone(counts)
	out := make([]int, n)
	for i := range out {
		best := 0
		for l := range counts {
			if counts[l] < counts[best] {
				best = l
			}
		}
		out[i] = best
		counts[best]++
	}
	return out
}

// parseBool reads the booleans that SDKs send, also Python's True and False.
func parseBool(s string) (bool, error) { return strconv.ParseBool(s) }
