package plan

import (
	"strings"
	"unicode/utf8"
)

// pattern is a compiled LIKE pattern: the pieces between its percent signs. Without a percent sign there is one piece,
// which is both first and last.
type pattern struct {
	pieces []piece
	open   bool // has a percent sign
}

// piece is a text without percent signs. Where any is true a single arbitrary character stands; such pieces are kept
// as runs of text, otherwise text is all.
type piece struct {
	text string
	runs []run // nil when the piece has no underscore
}

// run is a literal text, or one arbitrary character.
type run struct {
	text string
	any  bool
}

// newPattern compiles a pattern. A backslash before %, _ or a backslash makes it literal; any other backslash stands
// for itself.
func newPattern(s string) *pattern {
	p := &pattern{}
	var lit strings.Builder
	var runs []run
	flush := func() {
		if lit.Len() > 0 {
			runs = append(runs, run{text: lit.String()})
			lit.Reset()
		}
	}
	end := func() {
		flush()
		switch {
		case len(runs) == 0:
			p.pieces = append(p.pieces, piece{})
		case len(runs) == 1 && !runs[0].any:
			p.pieces = append(p.pieces, piece{text: runs[0].text})
		default:
			p.pieces = append(p.pieces, piece{runs: runs})
		}
		runs = nil
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '%' || s[i+1] == '_' || s[i+1] == '\\'):
			i++
			lit.WriteByte(s[i])
		case c == '%':
			end()
			p.open = true
		case c == '_':
			flush()
			runs = append(runs, run{any: true})
		default:
			lit.WriteByte(c)
		}
	}
	end()
	return p
}

// Prefix returns a text that every match begins with.
func (n *Like) Prefix() string {
	switch first := &newPattern(n.Pattern).pieces[0]; {
	case first.runs == nil:
		return first.text
	case !first.runs[0].any:
		return first.runs[0].text
	}
	return ""
}

// match reports whether the whole of s matches.
func (p *pattern) match(s string) bool {
	n, ok := p.pieces[0].prefix(s)
	if !ok {
		return false
	}
	if !p.open {
		return n == len(s)
	}
	s = s[n:]
	last := len(p.pieces) - 1
	for i := 1; i < last; i++ {
		n, ok := p.pieces[i].find(s)
		if !ok {
			return false
		}
		s = s[n:] // the leftmost match leaves most for the rest
	}
	return p.pieces[last].suffix(s)
}

// prefix returns the length of the piece at the start of s.
func (p *piece) prefix(s string) (int, bool) {
	if p.runs == nil {
		return len(p.text), strings.HasPrefix(s, p.text)
	}
	at := 0
	for i := range p.runs {
		r := &p.runs[i]
		if !r.any {
			if !strings.HasPrefix(s[at:], r.text) {
				return 0, false
			}
			at += len(r.text)
			continue
		}
		if at >= len(s) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at, true
}

// find returns the end of the leftmost occurrence of the piece.
func (p *piece) find(s string) (int, bool) {
	if p.runs == nil {
		i := strings.Index(s, p.text)
		return i + len(p.text), i >= 0
	}
	for at := 0; ; {
		if n, ok := p.prefix(s[at:]); ok {
			return at + n, true
		}
		if at >= len(s) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
}

// suffix reports whether s ends in the piece.
func (p *piece) suffix(s string) bool {
	if p.runs == nil {
		return strings.HasSuffix(s, p.text)
	}
	for i := len(p.runs) - 1; i >= 0; i-- {
		r := &p.runs[i]
		if !r.any {
			if !strings.HasSuffix(s, r.text) {
				return false
			}
			s = s[:len(s)-len(r.text)]
			continue
		}
		if s == "" {
			return false
		}
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return true
}
