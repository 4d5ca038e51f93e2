//! `Table`: a number per slot of keys, in a file that all processes map, which moves with every change. A
//! reader that holds a value tagged with a slot's number may serve it for as long as the number stands, at the
//! cost of one load; and whoever waits sleeps on it.
//!
//! A change is bracketed: odd while it is under way, even after it. Both numbers are written under the guard of
//! the slot. The tag of a value is the number read **before** its first file was opened; tagging later, or
//! moving the number only once, lets a reader keep an old value under a new number. The table is only an
//! accelerator: it knows nothing of files and values, and where it is missing readers look at the disk.

#[cfg(all(test, forebay_shuttle))]
mod coherence;

use crate::key::SLOTS;
use crate::stamp::Nanos;
use crate::sys::{Fd, Stat, Sys, absent, map::Map};
use std::io;
use std::time::Duration;

const MAGIC: &[u8; 8] = b"forebay\0";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const STRIDE: usize = 64;
/// Where the number is that every change sets: the address of those who watch the whole root.
const WATCH: usize = 16;
/// The size of the file.
pub(crate) const SIZE: usize = HEADER + STRIDE * SLOTS as usize;
/// Its name below `.forebay`.
pub(crate) const FILE: &str = "generations";

/// The open table.
#[derive(Debug)]
pub(crate) struct Table {
    fd: Fd,
    identity: (u64, u64),
    map: Option<Map>,
}

#[inline]
fn place(slot: u32) -> usize {
    HEADER + STRIDE * slot as usize
}

/// The number in a slot's first eight bytes, unless they are half written.
#[inline]
fn decode(pair: u64) -> Option<u32> {
    #[allow(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
    let (number, complement) = (pair as u32, (pair >> 32) as u32);
    (number == !complement).then_some(number)
}

fn encode(number: u32) -> [u8; 8] {
    (u64::from(number) | u64::from(!number) << 32).to_le_bytes()
}

/// A number that says "a change is under way": also what a half-written slot counts as.
const TORN: u32 = 1;

impl Table {
    /// The table in that folder, if a whole one is there.
    pub(crate) fn open(sys: &dyn Sys, folder: &Fd, writable: bool) -> io::Result<Option<Table>> {
        let opened = if writable { sys.open_writable(folder, FILE) } else { sys.open(folder, FILE) };
        let Some(fd) = absent(opened)? else { return Ok(None) };
        let stat = sys.stat(&fd)?;
        let mut header = [0; 16];
        if stat.size != SIZE as u64
            || sys.read_at(&fd, 0, &mut header).is_err()
            || header != expected_header()
        {
            return Ok(None);
        }
        let map = sys.map(&fd, SIZE).ok();
        Ok(Some(Table { fd, identity: stat.identity(), map }))
    }

    /// Makes the table where it is missing or not one of ours, with random even numbers, so that no tag of an
    /// earlier table means anything in it.
    pub(crate) fn make(sys: &dyn Sys, folder: &Fd, nonce: &str) -> io::Result<Table> {
        if let Some(table) = Table::open(sys, folder, true)? {
            return Ok(table);
        }
        let mut bytes = vec![0; SIZE];
        bytes[..16].copy_from_slice(&expected_header());
        let mut seeds = vec![0; 4 * SLOTS as usize];
        sys.random(&mut seeds);
        for (slot, seed) in seeds.chunks_exact(4).enumerate() {
            let number = u32::from_le_bytes([seed[0], seed[1], seed[2], seed[3]]) & !1;
            let at = HEADER + STRIDE * slot;
            bytes[at..at + 8].copy_from_slice(&encode(number));
        }
        let temporary = format!(".{FILE}.{nonce}");
        let fd = sys.create(folder, &temporary)?;
        let made = sys.allocate(&fd, SIZE as u64).and_then(|()| sys.write(&fd, 0, &bytes)).and_then(|()| {
            if absent(sys.stat_at(folder, FILE))?.is_some() {
                sys.unlink(folder, FILE)?;
            }
            match sys.link(folder, &temporary, FILE) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        });
        let swept = sys.unlink(folder, &temporary);
        made.and(swept)?;
        Table::open(sys, folder, true)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether this is still the table that others find there, and whole.
    pub(crate) fn is_current(&self, sys: &dyn Sys, folder: &Fd) -> bool {
        sys.stat_at(folder, FILE)
            .is_ok_and(|stat: Stat| stat.identity() == self.identity && stat.size == SIZE as u64)
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// The slot's number through the mapping; odd while a change is under way or the table cannot be mapped.
    #[inline]
    pub(crate) fn number(&self, slot: u32) -> u32 {
        match &self.map {
            Some(map) => decode(map.pair(place(slot))).unwrap_or(TORN),
            None => TORN,
        }
    }

    /// The slot's number by a read: for all but readers, because a load from a mapping whose file was truncated is
    /// fatal.
    pub(crate) fn number_on_file(&self, sys: &dyn Sys, slot: u32) -> io::Result<u32> {
        let mut pair = [0; 8];
        sys.read_at(&self.fd, place(slot) as u64, &mut pair)?;
        Ok(decode(u64::from_le_bytes(pair)).unwrap_or(TORN))
    }

    /// Ends a change that its writer did not live to end; the number then, which nobody else moves for as long as the
    /// slot's guard is held. Only under it.
    pub(crate) fn end_left_over(&self, sys: &dyn Sys, slot: u32) -> io::Result<u32> {
        let number = self.number_on_file(sys, slot)?;
        if number & 1 == 1 { self.end(sys, slot, number) } else { Ok(number) }
    }

    /// Begins a change, from that number: `n|1`, not `n+1`, which would turn what a dead writer left odd into even.
    /// The number then.
    pub(crate) fn begin(&self, sys: &dyn Sys, slot: u32, number: u32) -> io::Result<u32> {
        self.set(sys, slot, number | 1)
    }

    /// Ends a change; the number then.
    pub(crate) fn end(&self, sys: &dyn Sys, slot: u32, number: u32) -> io::Result<u32> {
        self.set(sys, slot, (number | 1).wrapping_add(1))
    }

    fn set(&self, sys: &dyn Sys, slot: u32, number: u32) -> io::Result<u32> {
        sys.write(&self.fd, place(slot) as u64, &encode(number)).map(|()| number)
    }

    /// Wakes all who sleep on the slot or watch the root. After the guard was let go.
    pub(crate) fn wake(&self, sys: &dyn Sys, slot: u32) {
        #[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
        let stamp: Nanos = sys.clock().boot_ns();
        let word = u32::try_from(stamp & 0xFFFF_FFFF).unwrap_or(0);
        // Best effort: a watcher that misses it looks again by itself.
        let _ = sys.write(&self.fd, WATCH as u64, &word.to_le_bytes());
        if let Some(map) = &self.map {
            map.wake(place(slot));
            map.wake(WATCH);
        }
    }

    /// Sleeps until the slot moves from `seen`, or `timeout` is over, or for no reason.
    pub(crate) fn sleep(&self, sys: &dyn Sys, slot: u32, seen: u32, timeout: Duration) {
        match &self.map {
            Some(map) => map.sleep(place(slot), seen, timeout),
            None => sys.pause(timeout.min(Duration::from_millis(5))),
        }
    }
}

fn expected_header() -> [u8; 16] {
    let mut header = [0; 16];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..].copy_from_slice(&SLOTS.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::real::RealSys;

    fn table() -> (tempfile::TempDir, RealSys, Fd, Table) {
        let folder = tempfile::tempdir().unwrap();
        let sys = RealSys::default();
        let fd = sys.open_root(folder.path()).unwrap();
        let table = Table::make(&sys, &fd, "n").unwrap();
        (folder, sys, fd, table)
    }

    #[test]
    fn p19_a_slot_left_odd_is_odd_during_the_next_change_too() {
        let (_folder, sys, _, table) = table();
        let start = table.number(7);
        assert_eq!(start & 1, 0);
        let odd = table.begin(&sys, 7, start).unwrap();
        assert_eq!(table.begin(&sys, 7, odd).unwrap(), odd);
        assert_eq!(table.number(7), start | 1);
        let next = table.end(&sys, 7, odd).unwrap();
        assert_eq!((table.number(7), next), (start.wrapping_add(2), start.wrapping_add(2)));
        table.begin(&sys, 7, next).unwrap();
        assert_eq!(table.end_left_over(&sys, 7).unwrap(), start.wrapping_add(4));
        assert_eq!(table.number(7), start.wrapping_add(4));
        assert_eq!(table.end_left_over(&sys, 7).unwrap(), start.wrapping_add(4));
        assert_eq!(table.number(7), start.wrapping_add(4));
    }

    #[test]
    fn p20_a_new_table_starts_with_other_numbers_and_another_identity() {
        let (folder, sys, fd, table) = table();
        assert!(table.is_current(&sys, &fd));
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        let next = Table::make(&sys, &fd, "m").unwrap();
        assert!(!table.is_current(&sys, &fd) && next.is_current(&sys, &fd));
        assert!((0..SLOTS).any(|slot| next.number(slot) != table.number(slot)));
        assert_eq!(sys.list(&fd).unwrap(), [FILE]);
    }

    #[test]
    fn a_file_of_another_shape_is_replaced() {
        let (folder, sys, fd, _) = table();
        for bytes in [&b""[..], b"forebay\0", &[0; SIZE]] {
            std::fs::write(folder.path().join(FILE), bytes).unwrap();
            assert!(Table::open(&sys, &fd, false).unwrap().is_none());
            Table::make(&sys, &fd, "n").unwrap();
        }
    }
}
