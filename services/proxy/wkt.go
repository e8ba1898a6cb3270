package proxy

import (
	"strconv"
	"strings"
)

// maxWKTDepth bounds the nesting of collections.
const maxWKTDepth = 16

// wktDepths are the kinds of geometries with the number of parentheses around their positions.
var wktDepths = map[string]int{
	"POINT": 1, "LINESTRING": 1, "POLYGON": 2, "MULTIPOINT": 1, "MULTILINESTRING": 2, "MULTIPOLYGON": 3, "GEOMETRYCOLLECTION": 0,
}

// wktShape reads one geometry and returns what follows it.
func wktShape(text string, depth int) (rest string, ok bool) {
	end := strings.IndexFunc(text, func(r rune) bool { return !letter(r) })
	if end <= 0 || depth > maxWKTDepth {
		return "", false
	}
	kind := strings.ToUpper(text[:end])
	parens, known := wktDepths[kind]
	rest = strings.TrimSpace(text[end:])
	for _, dims := range []string{"ZM", "Z", "M"} {
		if len(rest) > len(dims) && strings.EqualFold(rest[:len(dims)], dims) && !letter(rune(rest[len(dims)])) {
			rest = strings.TrimSpace(rest[len(dims):])
			break
		}
	}
	if len(rest) >= 5 && strings.EqualFold(rest[:5], "EMPTY") {
		return rest[5:], known
	}
	switch {
	case !known:
		return "", false
	case parens == 0:
		return wktList(rest, func(item string) (string, bool) { return wktShape(item, depth+1) })
	case kind == "MULTIPOINT":
		return wktList(rest, func(item string) (string, bool) {
			if strings.HasPrefix(item, "(") {
				return wktNested(item, 1)
			}
			return wktPosition(item)
		})
	}
	return wktNested(rest, parens)
}

// wktNested reads positions inside of some parentheses.
func wktNested(text string, parens int) (rest string, ok bool) {
	if parens == 0 {
		return wktPosition(text)
	}
	return wktList(text, func(item string) (string, bool) { return wktNested(item, parens-1) })
}

// wktList reads ( item , item ... ).
func wktList(text string, item func(string) (string, bool)) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, "(")
	for ok {
		if rest, ok = item(strings.TrimSpace(rest)); !ok {
			break
		}
		rest = strings.TrimSpace(rest)
		if after, closed := strings.CutPrefix(rest, ")"); closed {
			return after, true
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return "", false
}

// wktPosition reads two to four numbers.
func wktPosition(text string) (rest string, ok bool) {
	const least, most = 2, 4
	end := strings.IndexAny(text, ",()")
	if end < 0 {
		end = len(text)
	}
	numbers := strings.Fields(text[:end])
	for _, n := range numbers {
		if _, err := strconv.ParseFloat(n, 64); err != nil {
			return "", false
		}
	}
	return text[end:], len(numbers) >= least && len(numbers) <= most
}
