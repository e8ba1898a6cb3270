package plan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/schema"
)

// MaxEncoded is the largest encoded plan that Decode accepts, in bytes.
const MaxEncoded = 64 << 20

var errTruncated = errors.New("plan ends too early")

// Decode reads what Encode wrote. It refuses other versions, trailing bytes, plans that New refuses and plans over the
// bounds of this package; it never panics.
func Decode(b []byte) (*Plan, error) {
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("plan of %d bytes, at most %d are accepted", len(b), MaxEncoded)
	}
	if len(b) == 0 {
		return nil, errTruncated
	}
	if b[0] != encodingVersion {
		return nil, fmt.Errorf("plan version %d is unknown, this node reads version %d", b[0], encodingVersion)
	}
	d := &decoder{b: b[1:]}
	root := d.node(0)
	if d.err == nil && len(d.b) > 0 {
		d.fail(fmt.Errorf("%d bytes behind the plan", len(d.b)))
	}
	if d.err != nil {
		return nil, d.err
	}
	return New(root)
}

// decoder reads from the front of b. After an error it yields zero values.
type decoder struct {
	b     []byte
	err   error
	nodes int
	vals  int
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail(errTruncated)
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a length of things that take at least `each` bytes, so that it cannot ask for more than the input holds.
func (d *decoder) count(each int) int {
	v := d.uvarint()
	if v > uint64(len(d.b)/each) {
		d.fail(errTruncated)
		return 0
	}
	return int(v)
}

func (d *decoder) text() string {
	n := d.count(1)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) flag() bool {
	c := d.byte()
	if c > 1 {
		d.fail(fmt.Errorf("flag %d", c))
	}
	return c == 1
}

func (d *decoder) node(depth int) Node {
	if d.nodes++; depth > maxDepth || d.nodes > maxNodes {
		d.fail(fmt.Errorf("plan is deeper than %d levels or has more than %d nodes", maxDepth, maxNodes))
		return nil
	}
	switch tag := d.byte(); tag {
	case tagFalse:
		return Const{}
	case tagTrue:
		return Const{Value: true}
	case tagAnd:
		return &And{Terms: d.terms(depth)}
	case tagOr:
		return &Or{Terms: d.terms(depth)}
	case tagNot:
		return &Not{Term: d.node(depth + 1)}
	default:
		return d.leaf(tag)
	}
}

func (d *decoder) leaf(tag byte) Node {
	switch tag {
	case tagCompare:
		return &Compare{Op: CmpOp(d.byte()), Operand: d.operand(), Value: d.value(0)}
	case tagArith:
		a := &Arith{Op: ArithOp(d.byte()), Value: d.value(0)}
		return &Compare{Arith: a, Op: CmpOp(d.byte()), Operand: d.operand(), Value: d.value(0)}
	case tagRange:
		flags := d.byte()
		if flags > 3 {
			d.fail(fmt.Errorf("range flags %d", flags))
		}
		return &Range{LoInc: flags&1 != 0, HiInc: flags&2 != 0, Operand: d.operand(), Lo: d.value(0), Hi: d.value(0)}
	case tagIn:
		return &In{Operand: d.operand(), Values: d.values(0)}
	case tagLike:
		return &Like{Operand: d.operand(), Pattern: d.text()}
	case tagColumns:
		return &CompareColumns{Op: CmpOp(d.byte()), Left: d.operand(), Right: d.operand()}
	case tagContains:
		return &Contains{Mode: ContainsMode(d.byte()), Operand: d.operand(), Values: d.values(0)}
	case tagExists:
		return &Exists{Operand: d.operand()}
	case tagIsNull:
		return &IsNull{Operand: d.operand()}
	}
	d.fail(fmt.Errorf("unknown node tag %d", tag))
	return nil
}

func (d *decoder) terms(depth int) []Node {
	n := d.count(1)
	out := make([]Node, 0, min(n, 1024))
	for i := 0; i < n && d.err == nil; i++ {
		out = append(out, d.node(depth+1))
	}
	return out
}

func (d *decoder) operand() Operand {
	flags := d.byte()
	if flags > flagElement|flagLength|flagPath {
		d.fail(fmt.Errorf("operand flags %d", flags))
	}
	o := Operand{Type: schema.Type(d.byte())}
	o.Field = d.varint()
	if o.Type == schema.Array {
		o.Elem = schema.Type(d.byte())
	}
	if flags&flagElement != 0 {
		o.Element = true
		o.Index = int(min(d.uvarint(), maxIndex+1))
	}
	o.Length = flags&flagLength != 0
	if flags&flagPath != 0 {
		n := d.count(1)
		if n == 0 || n > maxPath {
			d.fail(fmt.Errorf("path of %d steps", n))
			return o
		}
		o.Path = make([]string, n)
		for i := range o.Path {
			o.Path[i] = d.text()
		}
	}
	return o
}

func (d *decoder) values(depth int) []Value {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	if d.vals += n; d.vals > maxValues {
		d.fail(fmt.Errorf("plan has more than %d constants in lists", maxValues))
		return nil
	}
	// A value in memory is much larger than its bytes, so the slice grows with what really comes.
	out := make([]Value, 0, min(n, 4096))
	for i := 0; i < n && d.err == nil; i++ {
		out = append(out, d.value(depth))
	}
	return out
}

func (d *decoder) value(depth int) Value {
	if depth > maxValueDepth {
		d.fail(fmt.Errorf("list is deeper than %d levels", maxValueDepth))
		return Value{}
	}
	switch k := Kind(d.byte()); k {
	case KindBool:
		return BoolValue(d.flag())
	case KindInt:
		return IntValue(d.varint())
	case KindFloat:
		if len(d.b) < 8 {
			d.fail(errTruncated)
			return Value{}
		}
		f := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
		d.b = d.b[8:]
		return FloatValue(f)
	case KindString:
		return StringValue(d.text())
	case KindArray:
		return ArrayValue(d.values(depth + 1)...)
	default:
		d.fail(fmt.Errorf("constant of kind %d", k))
		return Value{}
	}
}
