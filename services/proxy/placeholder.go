package proxy

import (
	"encoding/binary"
	"math"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// parsePlaceholders reads the query vectors of a search on f: their number, and the floats in little endian.
func parsePlaceholders(raw []byte, f *schema.Field) (nq int, vectors []byte, err error) {
	var group commonpb.PlaceholderGroup
	if err := proto.Unmarshal(raw, &group); err != nil {
		return 0, nil, errs.Invalid("the placeholder group is no valid PlaceholderGroup: %v", err)
	}
	if len(group.Placeholders) != 1 || group.Placeholders[0] == nil {
		return 0, nil, errs.Invalid("a search needs one placeholder, but the request holds %d", len(group.Placeholders))
	}
	p := group.Placeholders[0]
	if p.Type != commonpb.PlaceholderType_FloatVector {
		return 0, nil, errs.Invalid("vector type must be the same, field %s - type %s, search info type %s", f.Name, f.Type, p.Type)
	}
	size := 4 * f.Dim
	for _, v := range p.Values {
		if len(v) != size {
			return 0, nil, errs.Invalid("vector dimension mismatch, expected vector size(byte) %d, actual %d.", size, len(v))
		}
		if err := checkQueryVector(f, v); err != nil {
			return 0, nil, err
		}
		vectors = append(vectors, v...)
	}
	return len(p.Values), vectors, nil
}

func checkQueryVector(f *schema.Field, raw []byte) error {
	for i := 0; i+4 <= len(raw); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))
		if v != v || v > math.MaxFloat32 || v < -math.MaxFloat32 {
			return notANumber(f, float64(v))
		}
	}
	return nil
}

// vectorBytes writes floats in little endian.
func vectorBytes(dst []byte, v []float32) []byte {
	for _, x := range v {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}
