//! `forebay_live_input`: one thing that a derived result is computed from, as C says it and gets it back. It looks at
//! nothing.

use crate::args::{array, forebay_slice, out_handle};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::null;
use crate::options::reserved;
use crate::status::{OK, UNKNOWN, forebay_status};
use crate::text::{Terminated, forebay_text};
use forebay_core::{Code, Error, Input, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

/// What kind of thing a derived result is computed from.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_input_kind {
    /// As the name says: `file:`, `dir:`, `glob:`, `absent:`, `stat:`, `env:`, `source:` or `tag:` and what is meant.
    /// Without any of these, a name with an asterisk, `?` or `[` is a pattern, one that ends in `/` a folder, and all
    /// else a file.
    FOREBAY_INPUT_TEXT = 0,
    /// The content of a file; that there is none, where there is none.
    FOREBAY_INPUT_FILE = 1,
    /// The names and kinds of what a folder holds, not of what is below those.
    FOREBAY_INPUT_DIRECTORY = 2,
    /// Which files match a pattern, and their contents: an asterisk, `?`, `[ab]`, `{a,b}`, and two asterisks for any
    /// depth. Hidden files only where the pattern names them; links to folders are not followed.
    FOREBAY_INPUT_GLOB = 3,
    /// That nothing is there.
    FOREBAY_INPUT_ABSENT = 4,
    /// Size and time of change of a file, not its content.
    FOREBAY_INPUT_STAT = 5,
    /// The value of an environment variable; only its hash is kept.
    FOREBAY_INPUT_ENV = 6,
    /// The version of a source of the same cache, by its key.
    FOREBAY_INPUT_SOURCE = 7,
    /// A name that `forebay_live_invalidate_tag` moves.
    FOREBAY_INPUT_TAG = 8,
}

/// Something that a derived result is computed from: it holds while all of these are as they were. `forebay_input`
/// makes one of a C string. Paths are relative to the workspace, and are bytes: they need not be UTF-8; all else is
/// UTF-8.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_live_input {
    /// A `forebay_input_kind`.
    pub kind: i32,
    /// Must be 0.
    pub reserved: i32,
    /// The path, pattern, variable, key or tag. With `FOREBAY_INPUT_TEXT` text that says the kind too.
    pub name: forebay_slice,
}

/// What an accessor returns where there is no such input.
pub(crate) const NO_INPUT: forebay_live_input =
    forebay_live_input { kind: UNKNOWN, reserved: 0, name: forebay_slice::EMPTY };

/// The input that the caller says.
///
/// # Safety
/// Its name is readable.
unsafe fn input_of(input: &forebay_live_input) -> Result<Input> {
    reserved(input.reserved)?;
    // SAFETY: the caller's promise.
    let (path, text) = unsafe { (input.name.bytes("name of input")?, || input.name.text("name of input")) };
    // A path is bytes, not text.
    let path = || OsStr::from_bytes(path).into();
    Ok(match input.kind {
        0 => Input::parse(text()?),
        1 => Input::File(path()),
        2 => Input::Directory(path()),
        3 => Input::Glob(text()?.into()),
        4 => Input::Absent(path()),
        5 => Input::Stat(path()),
        6 => Input::Env(text()?.into()),
        7 => Input::Source(text()?.into()),
        8 => Input::Tag(text()?.into()),
        other => {
            return Err(Error::new(Code::Invalid, format!("kind of input is {other}"))
                .with_hint("give one of enum forebay_input_kind"));
        }
    })
}

/// The inputs that the caller says.
///
/// # Safety
/// `inputs` is NULL or has `count` elements, and their names are readable.
pub(crate) unsafe fn inputs_of(inputs: *const forebay_live_input, count: usize) -> Result<Vec<Input>> {
    // SAFETY: the caller's promise.
    let inputs = unsafe { array(inputs, count, "inputs")? };
    // SAFETY: as before.
    inputs.iter().map(|input| unsafe { input_of(input) }).collect()
}

/// The number and the name of an input.
fn parts(input: &Input) -> (forebay_input_kind, &[u8]) {
    match input {
        Input::File(path) => (forebay_input_kind::FOREBAY_INPUT_FILE, path.as_os_str().as_bytes()),
        Input::Directory(path) => (forebay_input_kind::FOREBAY_INPUT_DIRECTORY, path.as_os_str().as_bytes()),
        Input::Glob(pattern) => (forebay_input_kind::FOREBAY_INPUT_GLOB, pattern.as_bytes()),
        Input::Absent(path) => (forebay_input_kind::FOREBAY_INPUT_ABSENT, path.as_os_str().as_bytes()),
        Input::Stat(path) => (forebay_input_kind::FOREBAY_INPUT_STAT, path.as_os_str().as_bytes()),
        Input::Env(name) => (forebay_input_kind::FOREBAY_INPUT_ENV, name.as_bytes()),
        Input::Source(key) => (forebay_input_kind::FOREBAY_INPUT_SOURCE, key.as_bytes()),
        Input::Tag(name) => (forebay_input_kind::FOREBAY_INPUT_TAG, name.as_bytes()),
    }
}

/// The inputs of a handle as C reads them, made when somebody first asks.
#[derive(Default)]
pub(crate) struct Shown(OnceLock<Vec<(forebay_input_kind, Terminated)>>);

impl Shown {
    fn all<'i, I: IntoIterator<Item = &'i Input>>(
        &self,
        inputs: impl FnOnce() -> I,
    ) -> &[(forebay_input_kind, Terminated)] {
        self.0.get_or_init(|| {
            let shown = |input| {
                let (kind, name) = parts(input);
                (kind, Terminated::new(name))
            };
            inputs().into_iter().map(shown).collect()
        })
    }

    /// One of them, borrowed from this.
    pub(crate) fn at<'i, I: IntoIterator<Item = &'i Input>>(
        &self,
        inputs: impl FnOnce() -> I,
        index: usize,
    ) -> forebay_live_input {
        self.all(inputs).get(index).map_or(NO_INPUT, |(kind, name)| forebay_live_input {
            kind: *kind as i32,
            reserved: 0,
            name: name.slice(),
        })
    }
}

/// An input as a person reads it, and as `FOREBAY_INPUT_TEXT` takes it: `file:src/main.c`. What is not UTF-8 in a path
/// is shown as U+FFFD.
///
/// `out`: to be freed with `forebay_text_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_input_text(
    out: *mut *mut forebay_text,
    input: *const forebay_live_input,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, and a readable input.
        let (out, input) = unsafe { (out_handle(out, "out")?, input.as_ref()) };
        // SAFETY: as before.
        let input = unsafe { input_of(input.ok_or_else(|| null("input"))?)? };
        out.export(Terminated::new(input.to_string().as_bytes()));
        Ok(OK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_comes_back_as_it_was_said() {
        for kind in 1..=8 {
            let said = forebay_live_input { kind, reserved: 0, name: forebay_slice::of("a/b") };
            // SAFETY: the name is static.
            let input = unsafe { input_of(&said) }.unwrap();
            assert_eq!(parts(&input).0 as i32, kind);
            assert_eq!(Input::parse(&input.to_string()), input);
        }
        let odd = |kind| forebay_live_input {
            kind,
            reserved: 0,
            name: forebay_slice { data: b"caf\xe9".as_ptr().cast(), size: 4 },
        };
        // SAFETY: the names are static.
        unsafe {
            assert_eq!(parts(&input_of(&odd(1)).unwrap()).1, b"caf\xe9");
            for kind in [-1, 0, 3, 6, 7, 8, 9] {
                assert_eq!(input_of(&odd(kind)).err().unwrap().code(), Code::Invalid);
            }
        }
    }
}
