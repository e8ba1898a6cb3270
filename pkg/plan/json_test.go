package plan

import "testing"

// A key may be written with escapes in the document, and any text may be a key.
func TestJSONPaths(t *testing.T) {
	for _, c := range []struct {
		doc  string
		path []string
		want string
	}{
		{`{"\u0061":1}`, []string{"a"}, "1"},
		{`{"\u0061":{"b":[5,6]}}`, []string{"a", "b", "1"}, "6"},
		{`{"a.b":1,"a":{"b":2}}`, []string{"a.b"}, "1"},
		{`{"a.b":1,"a":{"b":2}}`, []string{"a", "b"}, "2"},
		{`{"@this":1}`, []string{"@this"}, "1"},
		{`{"#":1}`, []string{"#"}, "1"},
		{`{"":{"":7}}`, []string{"", ""}, "7"},
		{`{"0":3}`, []string{"0"}, "3"},
		{`[1,2]`, []string{"01"}, ""},
		{`[1,2]`, []string{"2"}, ""},
		{`[1,2]`, []string{"a"}, ""},
		{`{"a":[1]}`, []string{"a", "b"}, ""},
		{`{"a":1}`, []string{"a", "b"}, ""},
		{`{"a":{"b":1}}`, []string{"b"}, ""},
		{`{"x":{"a":1},"a":2}`, []string{"a"}, "2"},
		{`{"x":"\"a\":1","a":2}`, []string{"a"}, "2"},
		{` [ 1 , [ 2 , 3 ] ] `, []string{"1", "0"}, "2"},
		{`5`, nil, "5"},
		{``, []string{"a"}, ""},
		{`{"a":`, []string{"a", "b"}, ""},
		{`{"a`, []string{"a"}, ""},
	} {
		if got := newPath(c.path).get([]byte(c.doc)).Raw; got != c.want {
			t.Errorf("%s %q: %q, want %q", c.doc, c.path, got, c.want)
		}
		slow := &path{steps: c.path}
		if got := slow.get([]byte(c.doc)).Raw; len(c.path) > 0 && got != c.want {
			t.Errorf("%s %q step by step: %q, want %q", c.doc, c.path, got, c.want)
		}
	}
}
