package plan

import (
	"encoding/binary"
	"math"

	"github.com/gyr-db/gyr/pkg/schema"
)

// encodingVersion is the first byte of every encoded plan. It changes with every change of meaning, so that a node
// refuses what it would misread.
const encodingVersion = 1

// Node tags. Numbers are part of the format.
const (
	tagFalse byte = iota + 1
	tagTrue
	tagAnd
	tagOr
	tagNot
	tagCompare
	tagArith
	tagRange
	tagIn
	tagLike
	tagColumns
	tagContains
	tagExists
	tagIsNull
)

// Operand flags.
const (
	flagElement byte = 1 << iota
	flagLength
	flagPath
)

// Encode returns the plan's bytes: the version, then the tree in pre-order; numbers are varints, texts have their
// length in front. Equal trees have equal bytes.
func (p *Plan) Encode() []byte { return appendNode([]byte{encodingVersion}, p.root) }

func appendNode(b []byte, n Node) []byte {
	switch n := n.(type) {
	case Const:
		if n.Value {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case *And:
		return appendTerms(append(b, tagAnd), n.Terms)
	case *Or:
		return appendTerms(append(b, tagOr), n.Terms)
	case *Not:
		return appendNode(append(b, tagNot), n.Term)
	case *Compare:
		if n.Arith != nil {
			b = append(b, tagArith, byte(n.Arith.Op))
			b = appendValue(b, &n.Arith.Value)
		} else {
			b = append(b, tagCompare)
		}
		b = appendOperand(append(b, byte(n.Op)), &n.Operand)
		return appendValue(b, &n.Value)
	case *Range:
		b = appendOperand(append(b, tagRange, byte(b2i(n.LoInc)|b2i(n.HiInc)<<1)), &n.Operand)
		return appendValue(appendValue(b, &n.Lo), &n.Hi)
	case *In:
		return appendValues(appendOperand(append(b, tagIn), &n.Operand), n.Values)
	case *Like:
		return appendText(appendOperand(append(b, tagLike), &n.Operand), n.Pattern)
	case *CompareColumns:
		return appendOperand(appendOperand(append(b, tagColumns, byte(n.Op)), &n.Left), &n.Right)
	case *Contains:
		return appendValues(appendOperand(append(b, tagContains, byte(n.Mode)), &n.Operand), n.Values)
	case *Exists:
		return appendOperand(append(b, tagExists), &n.Operand)
	case *IsNull:
		return appendOperand(append(b, tagIsNull), &n.Operand)
	}
	panic("plan: unchecked node") // New refuses every other type
}

func appendTerms(b []byte, terms []Node) []byte {
	b = binary.AppendUvarint(b, uint64(len(terms)))
	for _, t := range terms {
		b = appendNode(b, t)
	}
	return b
}

func appendOperand(b []byte, o *Operand) []byte {
	var flags byte
	if o.Element {
		flags |= flagElement
	}
	if o.Length {
		flags |= flagLength
	}
	if len(o.Path) > 0 {
		flags |= flagPath
	}
	b = binary.AppendVarint(append(b, flags, byte(o.Type)), o.Field)
	if o.Type == schema.Array {
		b = append(b, byte(o.Elem))
	}
	if o.Element {
		b = binary.AppendUvarint(b, uint64(o.Index))
	}
	if len(o.Path) > 0 {
		b = binary.AppendUvarint(b, uint64(len(o.Path)))
		for _, step := range o.Path {
			b = appendText(b, step)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValues(b []byte, vs []Value) []byte {
	b = binary.AppendUvarint(b, uint64(len(vs)))
	for i := range vs {
		b = appendValue(b, &vs[i])
	}
	return b
}

func appendValue(b []byte, v *Value) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case KindBool:
		return append(b, byte(b2i(v.Bool)))
	case KindInt:
		return binary.AppendVarint(b, v.Int)
	case KindFloat:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float))
	case KindString:
		return appendText(b, v.Str)
	case KindArray:
		return appendValues(b, v.Array)
	}
	panic("plan: unchecked value") // New refuses every other kind
}
