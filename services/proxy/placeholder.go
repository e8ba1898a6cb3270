package proxy

import (
	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// parsePlaceholders reads the query vectors of a search on f: their number, and the vectors as f stores its own.
func parsePlaceholders(raw []byte, f *schema.Field) (nq int, vectors []byte, err error) {
	var group commonpb.PlaceholderGroup
	if err := proto.Unmarshal(raw, &group); err != nil {
		return 0, nil, errs.Invalid("the placeholder group is no valid PlaceholderGroup: %v", err)
	}
	if len(group.Placeholders) != 1 || group.Placeholders[0] == nil {
		return 0, nil, errs.Invalid("a search needs one placeholder, but the request holds %d", len(group.Placeholders))
	}
	p := group.Placeholders[0]
	given := schema.Type(p.Type) // placeholders are numbered as the types of their vectors
	if given != f.Type && (given != schema.FloatVector || !isHalf(f.Type)) {
		return 0, nil, errs.Invalid("vector type must be the same, field %s - type %s, search info type %s", f.Name, f.Type, p.Type)
	}
	size := given.RowBytes(f.Dim)
	for _, v := range p.Values {
		if len(v) != size {
			return 0, nil, errs.Invalid("vector dimension mismatch, expected vector size(byte) %d, actual %d.", size, len(v))
		}
		if given != f.Type {
			v = halves(f.Type, readFloats(v))
		}
		if err := checkStored(f, v); err != nil {
			return 0, nil, err
		}
		vectors = append(vectors, v...)
	}
	return len(p.Values), vectors, nil
}
