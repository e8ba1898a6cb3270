package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gyr-db/gyr/pkg/plan"
)

func itoa(n int) string { return strconv.Itoa(n) }

// number reads an int or float token. sign is "-" or empty: the smallest int64 has no positive twin.
func number(k kind, sign, text string) (plan.Value, error) {
	if k == tokInt {
		i, err := strconv.ParseInt(sign+text, 0, 64) // a leading 0 makes it octal
		if err != nil {
			return plan.Value{}, refuse("%s", err)
		}
		return plan.IntValue(i), nil
	}
	if hex := len(text) > 1 && text[1]|0x20 == 'x'; hex && !strings.ContainsAny(text, "pP") {
		text += "p0"
	}
	f, err := strconv.ParseFloat(sign+text, 64)
	if err != nil {
		return plan.Value{}, refuse("%s", err)
	}
	return plan.FloatValue(f), nil
}

// unquote returns the text of a string literal. C's escapes are replaced; an unknown one stays as it is written, so
// that like patterns can say \% and \_.
func unquote(lit string) string {
	s := lit[1 : len(lit)-1]
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for ; i >= 0; i = strings.IndexByte(s, '\\') {
		out = append(out, s[:i]...)
		var n int
		out, n = appendEscape(out, s[i:])
		s = s[i+n:]
	}
	return string(append(out, s...))
}

// appendEscape appends what the escape at the start of s means and returns its length.
func appendEscape(out []byte, s string) ([]byte, int) {
	switch c := s[1]; c { // the lexer let no lone backslash through
	case '\\', '\'', '"', '?':
		return append(out, c), 2
	case 'x':
		if n := min(span(s[2:], isHex), 2); n > 0 {
			v, _ := strconv.ParseUint(s[2:2+n], 16, 8)
			return append(out, byte(v)), 2 + n
		}
	case 'u', 'U':
		n := map[byte]int{'u': 4, 'U': 8}[c]
		if span(s[2:], isHex) >= n {
			v, _ := strconv.ParseUint(s[2:2+n], 16, 32)
			return utf8.AppendRune(out, rune(min(v, utf8.MaxRune+1))), 2 + n
		}
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n := min(span(s[1:], func(c byte) bool { return c >= '0' && c <= '7' }), 3)
		v, _ := strconv.ParseUint(s[1:1+n], 8, 16)
		return append(out, byte(v)), 1 + n
	default:
		if i := strings.IndexByte("abfnrtv", c); i >= 0 {
			return append(out, "\a\b\f\n\r\t\v"[i]), 2
		}
	}
	return append(out, s[:2]...), 2
}

// message renders a constant as the API's error texts do.
func message(v plan.Value) string {
	switch v.Kind {
	case plan.KindBool:
		return "bool_val:" + strconv.FormatBool(v.Bool)
	case plan.KindInt:
		return "int64_val:" + strconv.FormatInt(v.Int, 10)
	case plan.KindFloat:
		return "float_val:" + strconv.FormatFloat(v.Float, 'g', -1, 64)
	case plan.KindString:
		s := v.Str
		if len(s) > 256 {
			s = strings.ToValidUTF8(s[:256], "") + "..."
		}
		return "string_val:" + strconv.Quote(s)
	}
	return "array_val:" + v.String()
}
