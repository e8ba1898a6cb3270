package expr

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

func fixed() *schema.Schema {
	return &schema.Schema{Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "v", Type: schema.FloatVector, Dim: 4},
		{ID: 102, Name: "i32", Type: schema.Int32},
		{ID: 103, Name: "f", Type: schema.Float},
		{ID: 104, Name: "s", Type: schema.VarChar},
		{ID: 105, Name: "b", Type: schema.Bool},
		{ID: 106, Name: "j", Type: schema.JSON},
		{ID: 107, Name: "ai", Type: schema.Array, Elem: schema.Int64},
		{ID: 108, Name: "as", Type: schema.Array, Elem: schema.VarChar},
		{ID: 109, Name: "n32", Type: schema.Int32, Nullable: true},
		{ID: 110, Name: "m", Type: schema.VarChar, TypeParams: []schema.KV{{Key: "enable_match", Value: "true"}}},
	}}
}

func dynamic() *schema.Schema {
	s := fixed()
	s.EnableDynamic = true
	s.Fields = append(s.Fields, schema.Field{ID: 111, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true})
	return s
}

// The causes that the API's users know, expression by expression.
func TestRefusals(t *testing.T) {
	for text, cause := range map[string]string{
		`i32 == 5 and`:                    `line 1:12 mismatched input '<EOF>' expecting {'(', '[', `,
		`i32 = 5`:                         `invalid expression: i32 = 5`,
		`i32 == 5;`:                       `line 1:8 token recognition error at: ';'`,
		`nosuch > 5`:                      `field nosuch not exist`,
		`i32 == "a"`:                      `comparisons between Int32 and VarChar are not supported`,
		`s == 5`:                          `comparisons between VarChar and Int64 are not supported`,
		`s == i32`:                        `comparisons between VarChar and Int32 are not supported`,
		`b == 1`:                          `comparisons between Bool and Int64 are not supported`,
		`v == 1`:                          `comparisons between FloatVector and Int64 are not supported`,
		`i32 == 1.5`:                      `cannot cast value to Int32, value: float_val:1.5`,
		`i32 in 5`:                        `the right-hand side of 'in' must be a list, but got: 5`,
		`i32 in ["a"]`:                    `value 'string_val:"a"' in list cannot be casted to Int32`,
		`i32 in [1.5]`:                    `value 'float_val:1.5' in list cannot be casted to Int32`,
		`not b`:                           `not op can only be applied on boolean expression`,
		`i32 > 5 && s != 'x' || b`:        `'or' can only be used between boolean expressions`,
		`b and i32 > 5`:                   `'and' can only be used between boolean expressions`,
		`not i32 > 5`:                     `not op can only be applied on boolean expression`,
		`i32 like "ab%"`:                  `like operation on non-string or no-json field is unsupported`,
		`s like 5`:                        `like pattern should be a string literal or template variable, got: 5`,
		`j[a] > 5`:                        `struct field not found: j[a], error: failed to get field schema by name: fieldName(j[a]) not found`,
		`json_contains_any(j["t"], 1)`:    `ContainsAny operation element must be an array`,
		`json_contains_all(j["t"], 1)`:    `ContainsAll operation element must be an array`,
		`json_contains(i32, 1)`:           `contains operation are only supported on json or array fields now, got: i32`,
		`array_contains(ai, "x")`:         `cannot cast value to Int64, value: string_val:"x"`,
		`array_length(i32) > 2`:           `array_length operation are only supported on json, array or array-of-vector fields now, got: array_length(i32)`,
		`ai["x"] == 5`:                    `can only access array field with integer index`,
		`text_match(s, "hello")`:          `field "s" does not enable match`,
		`phrase_match(s, "hello")`:        `field "s" does not enable match`,
		`text_match(i32, "hello")`:        `text match operation on non-string is unsupported`,
		`exists i32`:                      `exists operations are only supportted on json field, got:Int32`,
		`v is null`:                       `IsNull/IsNotNull operations are not supported on vector fields`,
		`random_sample(2)`:                `the sample factor should be between 0 and 1 and not too close to 0 or 1(the difference should be larger than 1e-10), but got 2`,
		`random_sample(0.5) and i32 > 5`:  `random sample expression can only be the last expression in the logical and expression`,
		`random_sample(0.5) || i32 > 5`:   `random sample expression can only be the last expression in the logical and expression`,
		`i32 + n32 == 5`:                  `not supported to do arithmetic operations between multiple fields`,
		`i32 / 0 == 1`:                    `division or modulus by zero`,
		`i32 % 0 == 1`:                    `division or modulus by zero`,
		`s + "a" == "b"`:                  `'add' cannot perform arithmetic between VarChar field and VarChar`,
		`i32 ** 2 == 4`:                   `power can only apply on constants: i32**2`,
		`i32 | 1 == 3`:                    `BitOr is not supported: i32|1==3`,
		`i32 & 1 == 3`:                    `BitAnd is not supported: i32&1==3`,
		`5 < i32 < 1`:                     `invalid range: lowerbound is greater than upperbound`,
		`1 > i32 >= 1`:                    `invalid range: lowerbound is greater than upperbound`,
		`i32 > 99999999999999999999`:      `strconv.ParseInt: parsing "99999999999999999999": value out of range`,
		`x == 1`:                          `field x not exist`,
		`$meta["x"] == 1`:                 `field $meta not exist`,
		`i32 between 1 and 5`:             `invalid expression: i32 between 1 and 5`,
		`i32 <> 5`:                        `line 1:5 mismatched input '>' expecting`,
		`s == "abc`:                       `line 1:5 token recognition error at: '"abc'`,
		"i32 == 5\n  and é":               `line 2:6 token recognition error at: 'é'`,
		`i32 is  null`:                    `invalid expression: i32 is  null`,
		`i32 Is Null`:                     `invalid expression: i32 Is Null`,
		`i32 > 5 And i32 < 9`:             `invalid expression: i32 > 5 And i32 < 9`,
		`i32["a"] == 1`:                   `Int32 data type not supported accessed with []`,
		`ai == 5`:                         `comparisons between Array and Int64 are not supported`,
		`ai == ["a"]`:                     `cannot cast value to Array, value: array_val:["a"]`,
		`ai > [1]`:                        `comparison '>' is not supported on arrays`,
		`i32 + 1.5 == 3`:                  `'add' cannot perform arithmetic between Int32 field and Double`,
		`i32 + 1 + 2 == 3`:                `complicated arithmetic operations are not supported`,
		`5 - i32 == 3`:                    `subtract field is not yet supported`,
		`f % 2 == 1`:                      `modulo can only apply on integer types`,
		`nofunc(i32)`:                     `function nofunc not found`,
		`(i32 > 5`:                        `line 1:8 mismatched input '<EOF>' expecting ')'`,
		`i32 in [1 2]`:                    `line 1:10 mismatched input '2' expecting ']'`,
		`i32 in [n32]`:                    `array element type must be generic value, but got: n32`,
		`j == j`:                          `two column comparison with JSON type is not supported`,
		`(i32 > 5) == true`:               `comparison operations cannot be applied to two incompatible operands`,
		strings.Repeat("(", 300):          `expression is nested more than 200 levels deep`,
		strings.Repeat("not ", 1_000_000): `expression is nested more than 200 levels deep`,
		strings.Repeat("[", 100_000):      `expression is nested more than 200 levels deep`,
	} {
		_, err := Parse(text, fixed(), nil)
		var e *errs.Error
		if !errors.As(err, &e) {
			t.Errorf("%.60s: accepted", text)
			continue
		}
		head := "failed to create query plan: cannot parse expression: "
		if len(text) < maxShown {
			head += text + ", error: "
		}
		if !strings.HasPrefix(e.Msg, head) || !strings.HasSuffix(e.Msg, ": invalid parameter") || !strings.Contains(e.Msg, ", error: "+cause) {
			t.Errorf("%.60s: %.300s\nwant cause %s", text, e.Msg, cause)
		}
		if e.Code != errs.InvalidParameter || !e.Input {
			t.Errorf("%.60s: code %d, input %v", text, e.Code, e.Input)
		}
	}
}

// Some refusals do not repeat the filter.
func TestBareRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`i32`:         `failed to create query plan: predicate is not a boolean expression: i32, data type: Int32: invalid parameter`,
		`b`:           `failed to create query plan: predicate is not a boolean expression: b, data type: Bool: invalid parameter`,
		`i32 + 1`:     `failed to create query plan: predicate is not a boolean expression: i32+1, data type: Int32: invalid parameter`,
		`5`:           `failed to create query plan: predicate is not a boolean expression: 5, data type: Int64: invalid parameter`,
		`id in {ids}`: `failed to create query plan: the value of expression template variable name {ids} is not found: invalid parameter`,
	} {
		if _, err := Parse(text, fixed(), nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
	_, err := Parse(`i32`, fixed(), nil)
	if got := ForDelete(err).Error(); !strings.HasPrefix(got, "failed to create delete plan: predicate") {
		t.Errorf("delete: %s", got)
	}
	if other := errors.New("x"); ForDelete(other) != other || ForDelete(nil) != nil {
		t.Error("ForDelete touches errors that are not Parse's")
	}
}

func TestUnsupportedIsSaid(t *testing.T) {
	for _, text := range []string{
		`random_sample(0.5)`, `i32 > 5 and random_sample(0.5)`, `text_match(m, "a")`, `phrase_match(m, "a", 2)`,
		`st_within(s, "POINT(1 1)")`, `ts + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'`, `s =~ "a"`, `s !~ "a"`,
		`element_filter(x, $[a] > 1)`, `MATCH_ANY(x, $[a] > 1)`,
	} {
		s := dynamic()
		if _, err := Parse(text, s, nil); errs.CodeOf(err) != errs.Unimplemented {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is accepted, and the tree that it means.
func TestAccepted(t *testing.T) {
	templates := map[string]plan.Value{
		"n": plan.IntValue(7), "list": plan.ArrayValue(plan.IntValue(1), plan.IntValue(2)), "p": plan.StringValue("a%"),
		"d": plan.FloatValue(0.5), "t": plan.BoolValue(true),
	}
	for text, want := range map[string]string{
		``:                                     `true`,
		" \n\t":                                `true`,
		`true`:                                 `true`,
		`FALSE`:                                `false`,
		`1 == 1`:                               `true`,
		`1 < 2 and "a" == "b"`:                 `false`,
		`i32 == 5`:                             `f102 == 5`,
		`5 < i32`:                              `f102 > 5`,
		`f == 1`:                               `f103 == 1.0`,
		`f in [1,2.5]`:                         `f103 in [1.0, 2.5]`,
		`i32 in []`:                            `f102 in []`,
		`i32 in [1,2,]`:                        `f102 in [1, 2]`,
		`i32 not in [-1, +2, 0x10, 010, 0b11]`: `not (f102 in [-1, 2, 16, 8, 3])`,
		`i32 NOT IN [1 + 2 * 3]`:               `not (f102 in [7])`,
		`b == true`:                            `f105 == true`,
		`not (i32 > 5)`:                        `not (f102 > 5)`,
		`!(i32 > 5)`:                           `not (f102 > 5)`,
		`not not (i32 > 5)`:                    `f102 > 5`,
		`ai == [1,2]`:                          `f107 == [1, 2]`,
		`ai[0] == 5`:                           `f107[0] == 5`,
		`as[1] like "a_"`:                      `f108[1] like "a_"`,
		`i32 is null`:                          `f102 is null`,
		`n32 is not null and i32 > 1`:          `(not (f109 is null) and f102 > 1)`,
		`i32 > 1 and n32 IS NULL`:              `(f102 > 1 and f109 is null)`,
		`2 ** 3 == i32`:                        `f102 == 8`,
		`-2 ** 2 == i32`:                       `f102 == -4`,
		`i32 == 1 << 4 | 0`:                    ``,
		`i32 == 1 << 4`:                        `f102 == 16`,
		`i32 % 2 == 0`:                         `f102 % 2 == 0`,
		`i32 + 1 == 5`:                         `f102 + 1 == 5`,
		`1 + i32 == 5`:                         `f102 + 1 == 5`,
		`f * 2 >= 5`:                           `f103 * 2.0 >= 5.0`,
		`i32 == n32`:                           `f102 == f109`,
		`i32 > f`:                              `f102 > f103`,
		`ai[0] <= id`:                          `f107[0] <= f100`,
		`i32 > 2147483648`:                     `f102 > 2147483648`,
		`id > -9223372036854775808`:            `f100 > -9223372036854775808`,
		`1 < i32 <= 5`:                         `1 < f102 <= 5`,
		`5 >= i32 > 1`:                         `1 < f102 <= 5`,
		`"a" <= s < "b"`:                       `"a" <= f104 < "b"`,
		`1 <= f <= 1`:                          `1.0 <= f103 <= 1.0`,
		`0 < j["a"] < 1.5`:                     `0 < f106["a"] < 1.5`,
		`i32 > 1 and i32 < 5 or b == true`:     `((f102 > 1 and f102 < 5) or f105 == true)`,
		`b == true || i32 > 1 && i32 < 5`:      `(f105 == true or (f102 > 1 and f102 < 5))`,
		`s like "a%" and i32 == 1`:             `(f104 like "a%" and f102 == 1)`,
		`s LIKE {p} AND i32 == {n}`:            `(f104 like "a%" and f102 == 7)`,
		`i32 in {list}`:                        `f102 in [1, 2]`,
		`{n} < i32 < 9`:                        `7 < f102 < 9`,
		`f > {d} or {t}`:                       `true`,
		`json_contains(j["t"], {n})`:           `contains(f106["t"], [7])`,
		`JSON_CONTAINS_ANY(j["t"], [1,"a",])`:  `contains_any(f106["t"], [1, "a"])`,
		`array_contains_all(as, ["x"])`:        `contains_all(f108, ["x"])`,
		`array_contains(j, [1])`:               `contains(f106, [[1]])`,
		`json_contains(ai, 1)`:                 `contains(f107, [1])`,
		`array_length(ai) > 2`:                 `array_length(f107) > 2`,
		`array_length(j["a"]) == 0`:            `array_length(f106["a"]) == 0`,
		`exists j["a"]["b"][0]`:                `exists f106["a"]["b"]["0"]`,
		`not exists j['a']`:                    `not (exists f106["a"])`,
		`j["a"] * 2 > 3`:                       `f106["a"] * 2 > 3`,
		`j["a"] == "x\u0041\n\'"`:              `f106["a"] == "xA\n'"`,
		`j["a"] in [1, "x", true]`:             `f106["a"] in [1, "x", true]`,
		`j == [1, "a"]`:                        `f106 == [1, "a"]`,
		`f > .5 and f < 0x1p3 and f < 1e3`:     `(f103 > 0.5 and f103 < 8.0 and f103 < 1000.0)`,
		`s == '，中文'`:                           `f104 == "，中文"`,
		`s like "50\%"`:                        `f104 like "50\\%"`,
		`s == "\q"`:                            `f104 == "\\q"`,
		`s == "\101\x42"`:                      `f104 == "AB"`,
		`x > 5`:                                `f111["x"] > 5`,
		`$meta["x"]["y"] == "z"`:               `f111["x"]["y"] == "z"`,
		`x["y"][2] is null`:                    `f111["x"]["y"]["2"] is null`,
		`exists x`:                             `exists f111["x"]`,
		`_a1 == 1`:                             `f111["_a1"] == 1`,
		`(((i32))) == (5)`:                     `f102 == 5`,
		`~1 == i32`:                            `f102 == -2`,
	} {
		p, err := Parse(text, dynamic(), templates)
		switch {
		case want == "" && text != "":
			if err == nil {
				t.Errorf("%s: accepted as %s", text, p)
			}
		case err != nil:
			t.Errorf("%s: %v", text, err)
		case p.String() != want:
			t.Errorf("%s: %s, want %s", text, p, want)
		default:
			roundTrip(t, p)
		}
	}
}

func roundTrip(t *testing.T, p *plan.Plan) {
	t.Helper()
	again, err := plan.Decode(p.Encode())
	if err != nil || !bytes.Equal(again.Encode(), p.Encode()) {
		t.Fatalf("%s does not come back: %v", p, err)
	}
}

// Long lists and long chains are fast and flat.
func TestLongFilters(t *testing.T) {
	start := time.Now()
	var list, chain strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&list, "%d, ", 1<<60+i)
	}
	for i := range 50_000 {
		fmt.Fprintf(&chain, "i32 == %d or ", i)
	}
	for _, text := range []string{"id in [" + list.String() + "]", chain.String() + "i32 == 0", strings.Repeat("1+", 100_000) + "1 == i32"} {
		p, err := Parse(text, fixed(), nil)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, p)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	if _, err := Parse(strings.Repeat(" ", MaxLength+1), fixed(), nil); errs.CodeOf(err) != errs.InvalidParameter {
		t.Errorf("overlong text: %v", err)
	}
	if _, err := Parse(list.String(), fixed(), nil); err == nil || len(err.Error()) > 20_000 {
		t.Error("an error repeats a whole long filter")
	}
}

// The keys of `delete(ids=..)` come out as they went in.
func TestKeysOfFilters(t *testing.T) {
	p, err := Parse(`id in [3, 1, 3]`, fixed(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := p.PrimaryKeys(100); !ok || fmt.Sprint(k.Ints) != "[3 1 3]" {
		t.Errorf("%v %v", k, ok)
	}
	p, err = Parse(`5 == id and s == "x"`, fixed(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.PrimaryKeys(100); ok {
		t.Error("more than keys")
	}
	if k, ok := p.RequiredKeys(100); !ok || fmt.Sprint(k.Ints) != "[5]" {
		t.Errorf("%v %v", k, ok)
	}
}

type rows struct{ cols map[int64]*schema.Column }

func (r rows) Rows() int                               { return 3 }
func (r rows) Column(id int64) (*schema.Column, error) { return r.cols[id], nil }

// From text to rows, with nulls and missing keys out of both a filter and its negation.
func TestParsedFiltersSelect(t *testing.T) {
	src := rows{map[int64]*schema.Column{
		102: {Type: schema.Int32, N: 3, Ints: []int64{1, 5, 9}},
		103: {Type: schema.Float, N: 3, Floats: []float32{0.1, 0.2, 0.3}},
		109: {Type: schema.Int32, N: 3, Ints: []int64{0, 5, 9}, Valid: []bool{false, true, true}},
		111: {Type: schema.JSON, N: 3, Bytes: [][]byte{[]byte(`{"x":1,"y":[1,2]}`), []byte(`{"x":"1"}`), []byte(`{}`)}},
	}}
	for text, want := range map[string]string{
		`i32 > 1`: "[1 2]", `f == 0.1`: "[0]", `n32 != 5`: "[2]", `not (n32 == 5)`: "[2]", `n32 is null`: "[0]",
		`i32 == n32`: "[1 2]", `x == 1`: "[0]", `x != 2`: "[0]", `not (x == 2)`: "[0]", `x == "1"`: "[1]", `x is null`: "[2]",
		`exists x`: "[0 1]", `y[1] == 2`: "[0]", `json_contains(y, 2)`: "[0]", `array_length(y) == 2`: "[0]",
		`x in [1, "1"]`: "[0 1]", `$meta["x"] like "1%"`: "[1]", `i32 % 4 == 1 and not (x is null)`: "[0 1]",
	} {
		p, err := Parse(text, dynamic(), nil)
		if err != nil {
			t.Fatal(err)
		}
		bm, err := p.Bitmap(src)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		bm.Each(func(i int) bool { got = append(got, i); return true })
		if fmt.Sprint(got) != want {
			t.Errorf("%s: rows %v, want %s", text, got, want)
		}
	}
}

// FuzzParse: no text panics, and what is accepted survives the trip to a node.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`i32 == 5 and not (s like "a%_\%")`, `1 < i32 <= 5 or j["a"][0] in [1, 2.5, "x", true,]`, `exists x and x is not null`,
		`json_contains_all(j["t"], [1, [2]]) && array_length(ai) > 0x1F`, `i32 + 1 == 5 || f * 2 > 1e3`, `$meta["k"] != '\u00e9\x41\101'`,
		`-9223372036854775808 < id`, `2 ** 3 << 1 == i32`, `id in {ids}`, `random_sample(0.1)`, `text_match(m, "a")`, `ai[0] == id`,
		`0x.8p1 > f`, `((`, `"`, `\`, `not not true`, `s == "\`, `"\"`,
	} {
		f.Add(seed)
	}
	s := dynamic()
	templates := map[string]plan.Value{"ids": plan.ArrayValue(plan.IntValue(1))}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text, s, templates)
		if err != nil {
			var e *errs.Error
			if !errors.As(err, &e) || !e.Input {
				t.Fatalf("%q: %v is no input error", text, err)
			}
			return
		}
		roundTrip(t, p)
	})
}

func BenchmarkParseList(b *testing.B) {
	var list strings.Builder
	for i := range 16_384 {
		fmt.Fprintf(&list, "%d, ", 1<<60+i)
	}
	text, s := "id in ["+list.String()+"]", fixed()
	for b.Loop() {
		if _, err := Parse(text, s, nil); err != nil {
			b.Fatal(err)
		}
	}
}
