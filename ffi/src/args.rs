//! Arguments: what C passes in becomes a checked Rust value or an `invalid` error, and what goes out is set to
//! NULL before anything can fail. The rules that are the same for every function live here.

use crate::handle::{self, Handle, null};
use forebay_core::{Code, Error, Result};
use std::ffi::{c_char, c_void};
use std::time::{Duration, SystemTime};

/// Bytes or text that the caller owns; `(NULL, 0)` is empty. forebay reads it during the call only.
///
/// Text has to be UTF-8 and needs no NUL at its end. `forebay_str` makes one of a C string, `forebay_mem` one of
/// a pointer and a length.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_slice {
    /// The first byte, or NULL where `size` is 0.
    pub data: *const c_char,
    /// How many bytes.
    pub size: usize,
}

impl forebay_slice {
    pub(crate) const EMPTY: forebay_slice = forebay_slice { data: std::ptr::null(), size: 0 };

    /// A slice of text that lives as long as `text`, for callbacks.
    pub(crate) fn of(text: &str) -> forebay_slice {
        forebay_slice { data: text.as_ptr().cast(), size: text.len() }
    }

    /// # Safety
    /// As [`bytes`].
    pub(crate) unsafe fn bytes<'a>(self, what: &str) -> Result<&'a [u8]> {
        // SAFETY: the caller's promise.
        unsafe { bytes(self.data.cast(), self.size, what) }
    }

    /// # Safety
    /// As [`bytes`].
    pub(crate) unsafe fn text<'a>(self, what: &str) -> Result<&'a str> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.bytes(what)? };
        std::str::from_utf8(bytes).map_err(|_| {
            Error::new(Code::Invalid, format!("{what} is not UTF-8"))
                .with_hint("forebay's text is UTF-8 everywhere")
        })
    }

    /// The text, or none where it is empty.
    ///
    /// # Safety
    /// As [`bytes`].
    pub(crate) unsafe fn some_text<'a>(self, what: &str) -> Result<Option<&'a str>> {
        // SAFETY: the caller's promise.
        Ok(Some(unsafe { self.text(what)? }).filter(|text| !text.is_empty()))
    }
}

/// The caller's bytes.
///
/// # Errors
/// [`Code::Invalid`] for NULL with a size, and for a size that no object has.
///
/// # Safety
/// `data` is NULL or has `size` bytes that nobody changes while the result is used.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, size: usize, what: &str) -> Result<&'a [u8]> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Error::new(Code::Invalid, format!("{what} is NULL, with a size of {size}")));
    }
    if isize::try_from(size).is_err() {
        return Err(Error::new(Code::Invalid, format!("{what}: no object has {size} bytes")));
    }
    // SAFETY: the caller's promise, and the checks above.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), size) })
}

/// The caller's array.
///
/// # Errors
/// As [`bytes`].
///
/// # Safety
/// `data` is NULL or has `count` elements that nobody changes while the result is used.
pub(crate) unsafe fn array<'a, T>(data: *const T, count: usize, what: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Error::new(Code::Invalid, format!("{what} is NULL, with a count of {count}")));
    }
    if count.checked_mul(size_of::<T>()).is_none_or(|size| isize::try_from(size).is_err()) {
        return Err(Error::new(Code::Invalid, format!("{what}: no array has {count} elements")));
    }
    // SAFETY: the caller's promise, and the checks above.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

/// A place of the caller's for one result.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn set(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: checked when the place was taken.
            unsafe { self.0.write(value) };
        }
    }
}

impl<H: Handle> Out<*mut H> {
    /// Makes the handle only where somebody wants it.
    pub(crate) fn export(self, rust: H::Rust) {
        if !self.0.is_null() {
            self.set(handle::export(rust));
        }
    }
}

/// Takes a place that has to be there, and empties it.
///
/// # Errors
/// [`Code::Invalid`] for NULL.
///
/// # Safety
/// `place` is NULL or may be written.
pub(crate) unsafe fn out<T>(place: *mut T, empty: T, what: &str) -> Result<Out<T>> {
    if place.is_null() {
        return Err(null(what));
    }
    // SAFETY: the caller's promise.
    unsafe { place.write(empty) };
    Ok(Out(place))
}

/// Takes a place for a handle that has to be there, and sets it to NULL.
///
/// # Errors
/// [`Code::Invalid`] for NULL.
///
/// # Safety
/// As [`out`].
pub(crate) unsafe fn out_handle<H>(place: *mut *mut H, what: &str) -> Result<Out<*mut H>> {
    // SAFETY: the caller's promise.
    unsafe { out(place, std::ptr::null_mut(), what) }
}

/// Takes a place that may be missing, and empties it where it is there.
///
/// # Safety
/// As [`out`].
pub(crate) unsafe fn maybe_place<T>(place: *mut T, empty: T) -> Out<T> {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write(empty) };
    }
    Out(place)
}

/// Takes a place for a handle that may be missing, and sets it to NULL where it is there.
///
/// # Safety
/// As [`out`].
pub(crate) unsafe fn maybe_out<H>(place: *mut *mut H) -> Out<*mut H> {
    // SAFETY: the caller's promise.
    unsafe { maybe_place(place, std::ptr::null_mut()) }
}

/// A duration in milliseconds; −1 is none.
///
/// # Errors
/// [`Code::Invalid`] for any other negative number.
pub(crate) fn duration(ms: i64, what: &str) -> Result<Option<Duration>> {
    match u64::try_from(ms) {
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        Err(_) if ms == -1 => Ok(None),
        Err(_) => Err(Error::new(Code::Invalid, format!("{what} is {ms}"))
            .with_hint("give milliseconds, or -1 for none")),
    }
}

/// An instant in milliseconds since the epoch; −1 is none.
///
/// # Errors
/// [`Code::Invalid`] for any other negative number.
pub(crate) fn instant(ms: i64, what: &str) -> Result<Option<SystemTime>> {
    Ok(duration(ms, what)?.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
}

/// Milliseconds of a duration; −1 for none.
pub(crate) fn to_ms(duration: Option<Duration>) -> i64 {
    duration.map_or(-1, |duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since the epoch, clamped to it; −1 for none.
pub(crate) fn instant_to_ms(at: Option<SystemTime>) -> i64 {
    at.map_or(-1, |at| to_ms(Some(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())))
}

/// 0 or 1.
///
/// # Errors
/// [`Code::Invalid`] for any other number: an uninitialised struct shows this way.
pub(crate) fn flag(value: i32, what: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::new(Code::Invalid, format!("{what} is {other}")).with_hint("give 0 or 1")),
    }
}

/// A struct of options that begins with its own size and grows at its end only.
///
/// # Safety
/// The type is `repr(C)`, its first field is the `usize` of its size, and any bytes make a value of it.
pub(crate) unsafe trait Options: Copy {
    /// What the `_INIT` macro of the header says: every field unset.
    const INIT: Self;
}

/// No struct of options will be that large: a larger size is one that was never set.
const LARGEST: usize = 4096;

/// Reads a struct of options of any version: fields that a smaller one lacks are unset, and a larger one is
/// accepted while all that we don't know in it is 0.
///
/// # Errors
/// [`Code::Invalid`] for a size that cannot be one, [`Code::Unsupported`] for fields of a newer version that are set.
///
/// # Safety
/// `options` is NULL, or points at its size and as many bytes as that says.
pub(crate) unsafe fn options<T: Options>(options: *const T, what: &str) -> Result<Option<T>> {
    if options.is_null() {
        return Ok(None);
    }
    // SAFETY: the first field is the size, by the contract of the trait.
    let size = unsafe { options.cast::<usize>().read() };
    if size < size_of::<usize>() || size > LARGEST || size % align_of::<T>() != 0 {
        return Err(Error::new(Code::Invalid, format!("struct_size of {what} is {size}"))
            .with_hint("begin with its _INIT macro"));
    }
    let mut value = T::INIT;
    let known = size.min(size_of::<T>());
    // SAFETY: both have `known` bytes, and any bytes make a value, by the contracts.
    unsafe { std::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
    // SAFETY: the caller promises `size` bytes, and `known` is not more.
    let rest = unsafe { std::slice::from_raw_parts(options.cast::<u8>().add(known), size - known) };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Error::new(Code::Unsupported, format!("{what} uses options of a newer forebay"))
            .with_hint("update libforebay, or leave the new options unset"));
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Small {
        struct_size: usize,
        first: i64,
        second: i64,
    }
    // SAFETY: integers only.
    unsafe impl Options for Small {
        const INIT: Small = Small { struct_size: size_of::<Small>(), first: -1, second: -1 };
    }

    fn read(words: &[u64]) -> Result<Option<Small>> {
        // SAFETY: each test gives as many bytes as its first word says, or a size that is refused.
        unsafe { options(words.as_ptr().cast::<Small>(), "small") }
    }

    #[test]
    fn older_structs_get_defaults_and_newer_ones_only_what_is_known() {
        assert_eq!(read(&[8]).unwrap().unwrap().first, -1);
        let half = read(&[16, 5]).unwrap().unwrap();
        assert_eq!((half.first, half.second), (5, -1));
        assert_eq!(read(&[24, 5, 6]).unwrap().unwrap().second, 6);
        assert_eq!(read(&[32, 5, 6, 0]).unwrap().unwrap().second, 6);
        assert_eq!(read(&[32, 5, 6, 1]).err().unwrap().code(), Code::Unsupported);
        for size in [0, 4, 9, 12, 4104, u64::MAX] {
            assert_eq!(read(&[size, 0, 0]).err().unwrap().code(), Code::Invalid, "{size}");
        }
        // SAFETY: NULL is allowed.
        assert!(unsafe { options::<Small>(std::ptr::null(), "small") }.unwrap().is_none());
    }

    #[test]
    fn times_are_milliseconds_and_minus_one_is_none() {
        assert_eq!(duration(-1, "x").unwrap(), None);
        assert_eq!(duration(1500, "x").unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(duration(-2, "x").err().unwrap().code(), Code::Invalid);
        assert_eq!(instant(i64::MAX, "x").unwrap().map(|at| instant_to_ms(Some(at))), Some(i64::MAX));
        assert_eq!((to_ms(None), to_ms(Some(Duration::MAX))), (-1, i64::MAX));
    }

    #[test]
    fn bytes_are_checked() {
        // SAFETY: NULL, or refused before it is read.
        unsafe {
            assert_eq!(bytes(std::ptr::null(), 0, "x").unwrap(), b"");
            assert!(bytes(std::ptr::null(), 1, "x").is_err());
            assert!(bytes([1_u8].as_ptr().cast(), usize::MAX, "x").is_err());
            assert!(forebay_slice { data: b"\xff".as_ptr().cast(), size: 1 }.text("x").is_err());
            assert!(array::<u64>(std::ptr::null(), 0, "x").unwrap().is_empty());
            assert!(array::<u64>(std::ptr::null(), 1, "x").is_err());
            for count in [usize::MAX, usize::MAX / 8, usize::MAX / 16 + 1] {
                assert!(array([1_u64].as_ptr(), count, "x").is_err());
            }
        }
    }
}
