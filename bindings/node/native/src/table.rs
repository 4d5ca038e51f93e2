//! The shared table of slot numbers, mapped read-only and lent to JavaScript as an `ArrayBuffer`, so that a
//! reader's hit costs one `Atomics.load` and no native call. Layout and rules are in docs/protocol.md, Shared-memory
//! table; here is only the mapping. Truncating the file while it is mapped is fatal, as for every reader.

use crate::failure::guard;
use forebay::{Cache, SLOTS, Source};
use memmap2::{Mmap, MmapOptions};
use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, External};
use napi_derive::napi;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

const HEADER: usize = 64;
const STRIDE: usize = 64;
const SIZE: usize = HEADER + STRIDE * SLOTS as usize;

/// Which file a mapping is of.
pub struct Table {
    path: PathBuf,
    identity: (u64, u64),
}

/// A mapped table.
#[napi(object, object_from_js = false)]
pub struct TableFacts<'env> {
    pub table: External<Table>,
    pub memory: ArrayBuffer<'env>,
}

/// Maps the cache's table; none where there is none yet, or where this Node cannot lend memory out.
#[napi]
pub fn table_open<'env>(env: &'env Env, cache: &External<Cache>) -> napi::Result<Option<TableFacts<'env>>> {
    let path = cache.root().join(".forebay").join("generations");
    let Some((identity, map)) = mapped(&path) else { return Ok(None) };
    let start = map.as_ptr();
    // SAFETY: the mapping lives until the finalizer drops it, and JavaScript never writes there: only `Atomics.load`
    // of readers.ts sees the memory.
    let memory =
        unsafe { ArrayBuffer::from_external(env, start.cast_mut(), SIZE, map, |_, map: Mmap| drop(map)) }?;
    if memory.as_ptr() != start {
        // A copy (as Electron makes): its numbers would never move.
        return Ok(None);
    }
    Ok(Some(TableFacts { table: External::new(Table { path, identity }), memory }))
}

fn mapped(path: &PathBuf) -> Option<((u64, u64), Mmap)> {
    let file = File::open(path).ok()?;
    let meta = file.metadata().ok().filter(|meta| meta.is_file() && meta.len() == SIZE as u64)?;
    // SAFETY: the file is a table of ours, which nobody truncates (docs/protocol.md); its bytes are only read, and
    // only atomically.
    let map = unsafe { MmapOptions::new().len(SIZE).map(&file) }.ok()?;
    map.starts_with(b"forebay\0\x01\0\0\0").then_some(((meta.dev(), meta.ino()), map))
}

/// Whether the mapped table is still the one that writers use.
#[napi]
pub fn table_is_current(table: &External<Table>) -> bool {
    std::fs::metadata(&table.path)
        .is_ok_and(|meta| (meta.dev(), meta.ino()) == table.identity && meta.len() == SIZE as u64)
}

/// Where the source's number is in the table, counted in 32-bit words.
#[napi]
pub fn source_word(source: &External<Source>) -> napi::Result<u32> {
    guard(|| {
        let at = HEADER + STRIDE * source.key()?.slot() as usize;
        Ok(u32::try_from(at / 4).unwrap_or(0))
    })
}
