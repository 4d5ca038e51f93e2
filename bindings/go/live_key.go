// LiveKey: the name of a derived result, and how one is made of what tells one question from another, the same in every
// language.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// LiveKey names a derived result: 64 lower-case hexadecimal digits. It stands for all that the result depends on beside its
// inputs: the work, its arguments, the version of the program. What is no key is refused with [ErrInvalid] by each call.
type LiveKey string

// LiveKeyFromBytes returns the key of those bytes: their BLAKE3 hash.
func LiveKeyFromBytes(data []byte) LiveKey {
	var key [C.FOREBAY_LIVE_KEY_SIZE]byte
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_live_key((*C.char)(unsafe.Pointer(&key[0])), C.FOREBAY_LIVE_KEY_SIZE,
		unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), &failure)
	if failed(status, failure, nil) != nil {
		return "" // only a bug of ours: it is refused as any other that is no key
	}
	return LiveKey(key[:len(key)-1])
}

// LiveKeyOf returns the key of anything: of bytes and text their hash; of other values that of the JSON that encoding/json
// makes of them, with sorted names and without spaces, as forebay writes it in every language. What JSON would lose (NaN,
// channels, text in a value that is not UTF-8) is refused with [ErrInvalid].
func LiveKeyOf(value any) (LiveKey, error) {
	switch value := value.(type) {
	case []byte:
		return LiveKeyFromBytes(value), nil
	case string:
		return LiveKeyFromBytes([]byte(value)), nil
	}
	text, err := canonical(value)
	if err != nil {
		return "", newError(CodeInvalid, "no key of that value: "+err.Error(), err)
	}
	return LiveKeyFromBytes(text), nil
}

// canonical is the value's JSON in the one spelling that equal values have.
func canonical(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if !lossless(text) {
		return nil, fmt.Errorf("it has text that is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	return appendCanonical(nil, plain)
}

// lossless reports whether no text of the JSON stands for what is no text: encoding/json writes \ufffd for a byte that
// isn't UTF-8, so that two values would have one key.
func lossless(text []byte) bool {
	escape := func(at int) rune {
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return utf8.RuneError
		}
		code, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		if err != nil {
			return utf8.RuneError
		}
		return rune(code)
	}
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if text[i+1] == 'u' {
			first := escape(i)
			if utf16.IsSurrogate(first) {
				first = utf16.DecodeRune(first, escape(i+6))
				i += 6
			}
			if first == utf8.RuneError {
				return false
			}
		}
		i++
	}
	return true
}

func appendCanonical(out []byte, value any) ([]byte, error) {
	var err error
	switch value := value.(type) {
	case string:
		return appendText(out, value), nil
	case json.Number:
		return appendNumber(out, value)
	case []any:
		out = append(out, '[')
		for i, one := range value {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendCanonical(out, one); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		slices.Sort(names) // by byte, which is by code point
		out = append(out, '{')
		for i, name := range names {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendText(out, name), ':')
			if out, err = appendCanonical(out, value[name]); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	}
	return fmt.Append(out, jsonWord(value)), nil
}

// jsonWord is true, false or null.
func jsonWord(value any) any {
	if value == nil {
		return "null"
	}
	return value
}

// appendNumber writes a whole number as it is, and any other as the shortest text of the same float64.
func appendNumber(out []byte, number json.Number) ([]byte, error) {
	if text := number.String(); text != "-0" && !strings.ContainsAny(text, ".eE") {
		return append(out, text...), nil
	}
	float, err := number.Float64()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(float + 0) // -0 + 0 is 0
	return append(out, text...), err
}

// appendText writes text with no escape but those that JSON demands; encoding/json has a few more.
func appendText(out []byte, text string) []byte {
	const short = "\b\f\n\r\t\"\\"
	out = append(out, '"')
	for _, c := range []byte(text) {
		switch at := strings.IndexByte(short, c); {
		case at >= 0:
			out = append(out, '\\', `bfnrt"\`[at])
		case c < ' ':
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
