//! `forebay_text`: text that a call made for the caller, and the cells in which other handles keep text as C wants
//! it, with a NUL at the end. It doesn't know what the text is about.

use crate::args::forebay_slice;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use std::ffi::c_char;
use std::sync::OnceLock;

/// Text that a call made for you: UTF-8 with a NUL at its end. Free it with `forebay_text_free`.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_text {
    _private: [u8; 0],
}

impl Handle for forebay_text {
    type Rust = Terminated;
    type Ownership = Single;
}

/// Text with a NUL at its end. It may have others within: then the length tells.
pub(crate) struct Terminated(Box<[u8]>);

impl Terminated {
    pub(crate) fn new(text: &[u8]) -> Terminated {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text);
        bytes.push(0);
        Terminated(bytes.into_boxed_slice())
    }

    fn len(&self) -> usize {
        self.0.len() - 1
    }

    fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// A slice of it, without the NUL; as long-lived as this.
    pub(crate) fn slice(&self) -> forebay_slice {
        forebay_slice { data: self.as_ptr(), size: self.len() }
    }
}

/// One text of a handle, made when somebody first asks.
#[derive(Default)]
pub(crate) struct Cell(OnceLock<Option<Terminated>>);

impl Cell {
    /// The text that `make` gives, as a C accessor returns it.
    ///
    /// # Safety
    /// `size` is NULL or may be written.
    pub(crate) unsafe fn show<T: AsRef<[u8]>>(
        &self,
        size: *mut usize,
        make: impl FnOnce() -> Option<T>,
    ) -> *const c_char {
        let text = self.0.get_or_init(|| make().map(|text| Terminated::new(text.as_ref())));
        // SAFETY: the caller's promise.
        unsafe { show(text.as_ref(), size) }
    }
}

/// Several texts of a handle, made when somebody first asks.
#[derive(Default)]
pub(crate) struct Cells(OnceLock<Vec<Terminated>>);

impl Cells {
    /// The texts that `make` gives.
    pub(crate) fn get<T: AsRef<[u8]>>(&self, make: impl FnOnce() -> Vec<T>) -> &[Terminated] {
        self.0.get_or_init(|| make().iter().map(|text| Terminated::new(text.as_ref())).collect())
    }
}

/// The headers of a request, made when somebody first asks.
#[derive(Default)]
pub(crate) struct Headers(OnceLock<Vec<(Terminated, Terminated)>>);

impl Headers {
    /// Name and value of each, as `make` gives them.
    pub(crate) fn get(
        &self,
        make: impl FnOnce() -> Vec<(&'static str, String)>,
    ) -> &[(Terminated, Terminated)] {
        self.0.get_or_init(|| {
            let pair = |(name, value): (&str, String)| {
                (Terminated::new(name.as_bytes()), Terminated::new(value.as_bytes()))
            };
            make().into_iter().map(pair).collect()
        })
    }
}

/// A text as a C accessor returns it: its pointer, and its length in `size`; NULL and 0 where there is none.
///
/// # Safety
/// `size` is NULL or may be written.
pub(crate) unsafe fn show(text: Option<&Terminated>, size: *mut usize) -> *const c_char {
    if !size.is_null() {
        // SAFETY: the caller's promise.
        unsafe { size.write(text.map_or(0, Terminated::len)) };
    }
    text.map_or(std::ptr::null(), Terminated::as_ptr)
}

/// What a text accessor returns for a NULL handle.
///
/// # Safety
/// As [`show`].
pub(crate) unsafe fn nothing(size: *mut usize) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { show(None, size) }
}

/// The text, with a NUL at its end; NULL for NULL. Borrowed from the handle. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_text_data(text: *const forebay_text) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(text) }.map_or(std::ptr::null(), Terminated::as_ptr)
    })
}

/// How many bytes the text has, without the NUL; 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_text_size(text: *const forebay_text) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(text) }.map_or(0, Terminated::len)
    })
}

/// Frees the text; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_text_free(text: *mut forebay_text) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(text) }
    });
}
