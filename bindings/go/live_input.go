// Input: what a derived result is computed from, as Go says it and gets it back. Plain data; it looks at nothing.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"strings"
	"unsafe"
)

// InputKind says what kind of thing an [Input] is.
type InputKind string

// The kinds of inputs. Paths are relative to the workspace, and are bytes: they need not be UTF-8.
const (
	InputFile   InputKind = "file"   // the content of a file; that there is none, where there is none
	InputDir    InputKind = "dir"    // the names and kinds of what a folder holds, not of what is below those
	InputGlob   InputKind = "glob"   // which files match a pattern, and their contents
	InputAbsent InputKind = "absent" // that nothing is there
	InputStat   InputKind = "stat"   // size and time of change of a file, not its content
	InputEnv    InputKind = "env"    // the value of a variable; only a hash of it is kept
	InputSource InputKind = "source" // the version of a source of the same cache
	InputTag    InputKind = "tag"    // a name that InvalidateTag moves
)

// Input is something that a derived result is computed from: the result holds while all of these are as they were.
// Comparable; made by the functions named after the kinds.
type Input struct {
	// Kind says what is looked at. Empty: what Name says, as [ParseInput] reads it.
	Kind InputKind
	// Name is the path, the pattern, the variable, the source's key or the tag.
	Name string
}

// File is the content of a file. One that is not there is an input too: the result holds until it is.
func File(path string) Input { return Input{InputFile, path} }

// Dir is the names and kinds of what is in a folder, not of what is below those.
func Dir(path string) Input { return Input{InputDir, path} }

// Glob is which files match, and their contents: *, ?, [ab], {a,b}, and ** for any depth. Hidden files only where the
// pattern names them; links to folders are not followed.
func Glob(pattern string) Input { return Input{InputGlob, pattern} }

// Absent is that nothing is there.
func Absent(path string) Input { return Input{InputAbsent, path} }

// Stat is a file's size and time of change. Its content is not read.
func Stat(path string) Input { return Input{InputStat, path} }

// Env is the value of an environment variable, or that it is not set. Only a hash of it is kept.
func Env(name string) Input { return Input{InputEnv, name} }

// SourceInput is the version of a source of the same cache: its Tier, Name and Identity count. A source whose Tier has
// a slash cannot be named so, and is refused with [ErrInvalid] by the call that is given it.
func SourceInput(source Source) Input {
	if strings.Contains(source.Tier, "/") {
		return Input{InputSource, ""}
	}
	key := source.Key()
	if source.Identity != "" {
		key += "~" + string(LiveKeyFromBytes([]byte(source.Identity))[:16])
	}
	return Input{InputSource, key}
}

// Tag is a name that [Live.InvalidateTag] moves.
func Tag(name string) Input { return Input{InputTag, name} }

// ParseInput returns what a text names: "file:", "dir:", "glob:", "absent:", "stat:", "env:", "source:" or "tag:" and what
// is meant. Without any of these, a text with *, ? or [ is a pattern, one that ends in / a folder, and all else a file. A
// text that is not UTF-8 is refused with [ErrInvalid] by the call that is given the input.
func ParseInput(text string) Input {
	unread := Input{"", text}
	var a args
	defer a.free()
	var shown *C.forebay_text
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_live_input_text(&shown, &C.forebay_live_input{name: a.text(text)}, &failure)
	if err := failed(status, failure, nil); err != nil {
		return unread
	}
	defer C.forebay_text_free(shown)
	kind, name, _ := strings.Cut(copied(C.forebay_text_data(shown), C.forebay_text_size(shown)), ":")
	return Input{InputKind(kind), name}
}

// String returns the input as [ParseInput] reads it, such as "file:src/main.go".
func (i Input) String() string {
	if i.Kind == "" {
		return i.Name
	}
	return string(i.Kind) + ":" + i.Name
}

var inputKinds = [...]InputKind{
	C.FOREBAY_INPUT_TEXT: "", C.FOREBAY_INPUT_FILE: InputFile, C.FOREBAY_INPUT_DIRECTORY: InputDir,
	C.FOREBAY_INPUT_GLOB: InputGlob, C.FOREBAY_INPUT_ABSENT: InputAbsent, C.FOREBAY_INPUT_STAT: InputStat,
	C.FOREBAY_INPUT_ENV: InputEnv, C.FOREBAY_INPUT_SOURCE: InputSource, C.FOREBAY_INPUT_TAG: InputTag,
}

// number is the kind's, or one that no kind has, so that the library refuses it.
func (k InputKind) number() C.int32_t {
	for number, kind := range inputKinds {
		if kind == k {
			return C.int32_t(number)
		}
	}
	return C.int32_t(len(inputKinds))
}

// inputOf copies an input that a handle lends; false where there is none.
func inputOf(native C.forebay_live_input) (Input, bool) {
	if native.kind < 0 {
		return Input{}, false
	}
	return Input{named(inputKinds[:], native.kind), copied(native.name.data, native.name.size)}, true
}

// inputsOf copies all that a handle lends.
func inputsOf(count C.size_t, at func(C.size_t) C.forebay_live_input) []Input {
	out := make([]Input, 0, int(count))
	for i := range count {
		if input, there := inputOf(at(i)); there {
			out = append(out, input)
		}
	}
	return out
}

// keysOf copies all keys that a handle lends.
func keysOf(count C.size_t, at func(C.size_t) *C.char) []LiveKey {
	out := make([]LiveKey, count)
	for i := range out {
		out[i] = LiveKey(C.GoString(at(C.size_t(i))))
	}
	return out
}

// texts lends many texts as one piece of memory, since a pin for each would cost more than the call.
func (a *args) texts(count int, at func(int) string) []C.forebay_slice {
	size := 0
	for i := range count {
		size += len(at(i))
	}
	out := make([]C.forebay_slice, count)
	if size == 0 {
		return out
	}
	all := make([]byte, 0, size)
	a.pins.Pin(unsafe.SliceData(all))
	for i := range out {
		text := at(i)
		if text == "" {
			continue
		}
		all = append(all, text...)
		out[i] = C.forebay_slice{data: (*C.char)(unsafe.Pointer(&all[len(all)-len(text)])), size: C.size_t(len(text))}
	}
	return out
}

func (a *args) liveSpec(key LiveKey, spec LiveSpec) *C.forebay_live_spec {
	out := &C.forebay_live_spec{
		struct_size: C.sizeof_forebay_live_spec,
		key:         a.text(string(key)),
		kind:        a.text(spec.Kind),
	}
	if len(spec.Inputs) > 0 {
		names := a.texts(len(spec.Inputs), func(i int) string { return spec.Inputs[i].Name })
		inputs := make([]C.forebay_live_input, len(names))
		for i, name := range names {
			inputs[i] = C.forebay_live_input{kind: spec.Inputs[i].Kind.number(), name: name}
		}
		out.inputs, out.input_count = unsafe.SliceData(inputs), C.size_t(len(inputs))
		a.pins.Pin(out.inputs)
	}
	if len(spec.Upstreams) > 0 {
		keys := a.texts(len(spec.Upstreams), func(i int) string { return string(spec.Upstreams[i]) })
		out.upstreams, out.upstream_count = unsafe.SliceData(keys), C.size_t(len(keys))
		a.pins.Pin(out.upstreams)
	}
	return out
}
