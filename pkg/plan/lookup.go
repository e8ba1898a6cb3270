package plan

// lookup finds which of a list's distinct constants equals a value.
type lookup struct {
	ints   map[int64]int
	floats map[float64]int // those that are no integers
	texts  map[string]int
	bools  [2]int // number + 1
	arrays []Value
	arrayN []int
	size   int
	number bool // holds ints or floats
}

func newLookup(values []Value) *lookup {
	l := &lookup{ints: map[int64]int{}, floats: map[float64]int{}, texts: map[string]int{}}
	for i := range values {
		l.insert(canonical(values[i]))
	}
	return l
}

func (l *lookup) insert(v Value) {
	if l.find(&v) >= 0 {
		return
	}
	n := l.size
	l.size++
	switch v.Kind {
	case KindInt:
		l.ints[v.Int], l.number = n, true
	case KindFloat:
		l.floats[v.Float], l.number = n, true
	case KindString:
		l.texts[v.Str] = n
	case KindBool:
		l.bools[b2i(v.Bool)] = n + 1
	case KindArray:
		l.arrays, l.arrayN = append(l.arrays, v), append(l.arrayN, n)
	}
}

// find returns the number of the constant that equals v, or -1.
func (l *lookup) find(v *Value) int {
	switch v.Kind {
	case KindInt:
		return at(l.ints, v.Int)
	case KindFloat:
		if i, ok := exactInt(v.Float); ok {
			return at(l.ints, i)
		}
		return at(l.floats, v.Float)
	case KindString:
		return at(l.texts, v.Str)
	case KindBool:
		return l.bools[b2i(v.Bool)] - 1
	case KindArray:
		for i := range l.arrays {
			if equal(&l.arrays[i], v) {
				return l.arrayN[i]
			}
		}
	}
	return -1
}

// comparable reports whether the list has a constant of v's kind.
func (l *lookup) comparable(v *Value) bool {
	switch v.Kind {
	case KindInt, KindFloat:
		return l.number
	case KindString:
		return len(l.texts) > 0
	case KindBool:
		return l.bools != [2]int{}
	case KindArray:
		return len(l.arrays) > 0
	}
	return false
}

func at[K comparable](m map[K]int, k K) int {
	if n, ok := m[k]; ok {
		return n
	}
	return -1
}

// search is one array's progress through a Contains.
type search struct {
	of   *lookup
	all  bool
	done bool
	left int
	seen map[int]struct{}
}

func (l *lookup) search(mode ContainsMode) search {
	s := search{of: l, all: mode == ContainsAll && l.size != 1, left: l.size}
	s.done = mode == ContainsAll && l.size == 0
	return s
}

// add notes an element of the array.
func (s *search) add(v *Value) {
	n := s.of.find(v)
	if n < 0 {
		return
	}
	if !s.all {
		s.done = true
		return
	}
	if s.seen == nil {
		s.seen = make(map[int]struct{}, s.left)
	}
	if _, old := s.seen[n]; !old {
		s.seen[n] = struct{}{}
		s.left--
		s.done = s.left == 0
	}
}
