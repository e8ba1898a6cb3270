package expr

import (
	"strings"
	"unicode/utf8"
)

// kind is a token's kind. Operators and punctuation have their own; so have the reserved words.
type kind uint8

const (
	tokEOF kind = iota
	tokIdent
	tokMeta // $meta
	tokInt
	tokFloat
	tokString
	tokTrue
	tokFalse
	tokAnd
	tokOr
	tokNot
	tokIn
	tokLike
	tokExists
	tokIsNull
	tokIsNotNull
	tokEQ
	tokNE
	tokLT
	tokLE
	tokGT
	tokGE
	tokAdd
	tokSub
	tokMul
	tokDiv
	tokMod
	tokPow
	tokShl
	tokShr
	tokBitAnd
	tokBitOr
	tokBitXor
	tokBitNot
	tokRegex
	tokNotRegex
	tokAssign
	tokLParen
	tokRParen
	tokLBracket
	tokRBracket
	tokLBrace
	tokRBrace
	tokComma
	tokDollar
)

// token is a piece of the text.
type token struct {
	kind       kind
	start, end int32
}

// reserved returns the kind of a word; words are reserved as all-lower and all-upper, constants also capitalised.
func reserved(w string) kind {
	switch w {
	case "and", "AND":
		return tokAnd
	case "or", "OR":
		return tokOr
	case "not", "NOT":
		return tokNot
	case "in", "IN":
		return tokIn
	case "like", "LIKE":
		return tokLike
	case "exists", "EXISTS":
		return tokExists
	case "true", "True", "TRUE":
		return tokTrue
	case "false", "False", "FALSE":
		return tokFalse
	}
	return tokIdent
}

// symbols lists operators and punctuation, longer ones before their prefixes.
func symbols() []struct {
	text string
	kind kind
} {
	return []struct {
		text string
		kind kind
	}{
		{"&&", tokAnd},
		{"||", tokOr},
		{"==", tokEQ},
		{"=~", tokRegex},
		{"!=", tokNE},
		{"!~", tokNotRegex},
		{"<=", tokLE},
		{"<<", tokShl},
		{">=", tokGE},
		{">>", tokShr},
		{"**", tokPow},
		{"<", tokLT},
		{">", tokGT},
		{"+", tokAdd},
		{"-", tokSub},
		{"*", tokMul},
		{"/", tokDiv},
		{"%", tokMod},
		{"&", tokBitAnd},
		{"|", tokBitOr},
		{"^", tokBitXor},
		{"~", tokBitNot},
		{"!", tokNot},
		{"=", tokAssign},
		{"(", tokLParen},
		{")", tokRParen},
		{"[", tokLBracket},
		{"]", tokRBracket},
		{"{", tokLBrace},
		{"}", tokRBrace},
		{",", tokComma},
		{"$", tokDollar},
	}
}

// lex splits text into tokens, the last of them tokEOF.
func lex(text string) ([]token, error) {
	syms := symbols()
	out := make([]token, 0, len(text)/4+2)
	for at := 0; at < len(text); {
		c := text[at]
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			at++
			continue
		}
		k, n := tokEOF, 0
		switch {
		case isLetter(c):
			k, n = lexWord(text[at:])
		case isDigit(c) || (c == '.' && at+1 < len(text) && isDigit(text[at+1])):
			k, n = lexNumber(text[at:])
		case c == '"' || c == '\'':
			k, n = tokString, lexString(text[at:])
		case strings.HasPrefix(text[at:], "$meta") && (at+5 == len(text) || !isWord(text[at+5])):
			k, n = tokMeta, len("$meta")
		default:
			for i := range syms {
				if strings.HasPrefix(text[at:], syms[i].text) {
					k, n = syms[i].kind, len(syms[i].text)
					break
				}
			}
		}
		if n == 0 {
			return nil, badToken(text, at)
		}
		out = append(out, token{kind: k, start: int32(at), end: int32(at + n)})
		at += n
	}
	return append(out, token{kind: tokEOF, start: int32(len(text)), end: int32(len(text))}), nil
}

func badToken(text string, at int) error {
	_, size := utf8.DecodeRuneInString(text[at:])
	bad := text[at : at+size]
	if bad == `"` || bad == "'" { // a string without an end
		bad, _, _ = strings.Cut(text[at:], "\n")
		if len(bad) > 64 {
			bad = strings.ToValidUTF8(bad[:64], "")
		}
	}
	return refuse("%s token recognition error at: '%s'", position(text, at), bad)
}

// position renders a place as `line l:c`, both in characters, lines from 1 and columns from 0.
func position(text string, at int) string {
	before := text[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return "line " + itoa(strings.Count(before, "\n")+1) + ":" + itoa(utf8.RuneCountInString(before[start:]))
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func lexWord(s string) (kind, int) {
	n := span(s, isWord)
	if w := s[:n]; w == "is" || w == "IS" {
		for _, tail := range []struct {
			lower, upper string
			kind         kind
		}{{" null", " NULL", tokIsNull}, {" not null", " NOT NULL", tokIsNotNull}} {
			rest := s[n:]
			if (w == "is" && strings.HasPrefix(rest, tail.lower)) || (w == "IS" && strings.HasPrefix(rest, tail.upper)) {
				if end := n + len(tail.lower); end == len(s) || !isWord(s[end]) {
					return tail.kind, end
				}
			}
		}
	}
	return reserved(s[:n]), n
}

func span(s string, ok func(byte) bool) int {
	n := 0
	for n < len(s) && ok(s[n]) {
		n++
	}
	return n
}

// lexNumber finds the end of a number that starts s; its value is read when it is needed.
func lexNumber(s string) (kind, int) {
	digits, n, exp := isDigit, 0, byte('e')
	if len(s) > 2 && s[0] == '0' {
		switch {
		case s[1]|0x20 == 'x' && (isHex(s[2]) || s[2] == '.'):
			digits, n, exp = isHex, 2, 'p'
		case s[1]|0x20 == 'b' && (s[2] == '0' || s[2] == '1'):
			return tokInt, 2 + span(s[2:], func(c byte) bool { return c == '0' || c == '1' })
		}
	}
	k := tokInt
	n += span(s[n:], digits)
	if n < len(s) && s[n] == '.' {
		k = tokFloat
		n++
		n += span(s[n:], digits)
	}
	if n < len(s) && s[n]|0x20 == exp {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if d := span(s[m:], isDigit); d > 0 {
			return tokFloat, m + d
		}
	}
	return k, n
}

// lexString returns the length of the string literal that starts s, 0 if it has no end on its line.
func lexString(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\n', '\r':
			return 0
		case s[0]:
			return i + 1
		}
	}
	return 0
}
