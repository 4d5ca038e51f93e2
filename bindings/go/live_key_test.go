// Keys of derived results: equal values have equal ones, in every language, and different values different ones.

package forebay_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/forebay/forebay/bindings/go"
)

func keyOf(t *testing.T, value any) forebay.LiveKey {
	t.Helper()
	key, err := forebay.LiveKeyOf(value)
	must(t, err)
	return key
}

func TestAKeyIsTheHashOfBytesAndText(t *testing.T) {
	const ofABC = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85" // BLAKE3's own example
	equal(t, "bytes", forebay.LiveKeyFromBytes([]byte("abc")), ofABC)
	equal(t, "bytes as a value", keyOf(t, []byte("abc")), ofABC)
	equal(t, "text", keyOf(t, "abc"), ofABC)
	equal(t, "nothing", forebay.LiveKeyFromBytes(nil), forebay.LiveKeyFromBytes([]byte{}))
	equal(t, "what is not UTF-8", keyOf(t, "\xff"), forebay.LiveKeyFromBytes([]byte{0xff}))
}

func TestAKeyIsTheHashOfAValuesCanonicalJSON(t *testing.T) {
	type point struct {
		Y, X  int
		Label string `json:"-"`
	}
	for want, value := range map[string]any{
		`{"X":1,"Y":2}`:                                  point{Y: 2, X: 1, Label: "not in JSON"},
		`["a",1,true,false,null]`:                        []any{"a", 1, true, false, nil},
		`{"a":[],"b":{}}`:                                map[string]any{"b": map[string]int{}, "a": []int{}},
		`[1,1.5,0,0,1e+21,1e-7,-2]`:                      []any{1.0, 1.5, 0, math.Copysign(0, -1), 1e21, 1e-7, json.Number("-2.0")},
		`[9007199254740993]`:                             []uint64{1<<53 + 1},
		`[" ` + "\x7f" + `\u0000\u001f\b\t\n\f\r\"\\/"]`: []string{" \x7f\x00\x1f\b\t\n\f\r\"\\/"},
	} {
		equal(t, want, keyOf(t, value), forebay.LiveKeyFromBytes([]byte(want)))
	}
	equal(t, "null", keyOf(t, nil), forebay.LiveKeyFromBytes([]byte("null")))
	names := map[string]int{"😀": 3, "\ue000": 2, "é": 1}
	equal(t, "names by code point", keyOf(t, names), forebay.LiveKeyFromBytes([]byte("{\"é\":1,\"\ue000\":2,\"😀\":3}")))
	equal(t, "no escapes", keyOf(t, []string{"<&>\u2028\ufffd😀"}), forebay.LiveKeyFromBytes([]byte("[\"<&>\u2028\ufffd😀\"]")))
	equal(t, "pairs", keyOf(t, json.RawMessage(`"\ud83d\ude00\\ufffd"`)), forebay.LiveKeyFromBytes([]byte(`"😀\\ufffd"`)))
}

func TestWhatJSONWouldLoseIsNoKey(t *testing.T) {
	self := map[string]any{}
	self["self"] = self
	for what, value := range map[string]any{
		"NaN": math.NaN(), "infinity": []float64{math.Inf(1)}, "a channel": make(chan int), "a function": func() {},
		"text that is not UTF-8": []string{"caf\xe9"}, "a name that is not": map[string]int{"\xff": 1},
		"half a pair": json.RawMessage(`"\ud83d"`), "half and more": json.RawMessage(`"\ud83d\u0041"`),
		"a number that is too large": json.Number("1e999"), "itself": self,
	} {
		key, err := forebay.LiveKeyOf(value)
		if key != "" {
			t.Errorf("%s has the key %s", what, key)
		}
		isError(t, err, forebay.ErrInvalid)
	}
}
