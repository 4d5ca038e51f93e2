//! A hit through the C ABI against the same hit in Rust, in one contest. The C side is a program in C, compiled
//! into a shared library by `scripts/bench` and loaded here; `--with` names it.

use crate::Plan;
use forebay::State;
use forebay_benches::fixture::{Fixture, TTL, digest};
use forebay_benches::series::{Contest, timed};
use forebay_benches::{Outcome, bare, check};
use libloading::{Library, Symbol};
use std::ffi::{CString, c_char, c_void};
use std::time::{Duration, Instant};

type Open = unsafe extern "C" fn(*const c_char, *const *const c_char, usize) -> *mut c_void;
type Run = unsafe extern "C" fn(*mut c_void, *const usize, usize, usize) -> u64;
type Close = unsafe extern "C" fn(*mut c_void);

/// Measures both.
pub fn run(plan: &Plan) -> Outcome<()> {
    let [library] = plan.with.as_slice() else { return Err("--with LIBRARY is needed".into()) };
    let fixture = &Fixture::new();
    let root = plan.root.join("cache");
    let cache = &fixture.fill(&root)?;
    // SAFETY: our own library, whose functions have the types given above; see benches/c/hits.c.
    let library = unsafe { Library::new(library)? };
    // SAFETY: as above.
    let (open, close) = unsafe { (library.get::<Open>(b"hits_open")?, library.get::<Close>(b"hits_close")?) };
    let names = fixture.keys.iter().map(|key| CString::new(key.as_str())).collect::<Result<Vec<_>, _>>()?;
    let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let root = bare::c_path(&root)?;
    // SAFETY: strings end in NUL; as many as told.
    let handle = unsafe { open(root.as_ptr(), pointers.as_ptr(), pointers.len()) };
    check(!handle.is_null(), || "the C side could not open the cache".to_owned())?;

    let mut readers: Vec<_> = fixture.keys.iter().map(|key| cache.source(key).ttl(TTL).reader()).collect();
    let mut contest = Contest::new("native", plan.rounds, plan.batch);
    contest.add("Rust Reader, borrowed", 1_000, |operations| {
        timed(operations, &fixture.order, &fixture.expected, |at| match readers[at].read() {
            Ok(read) if read.state == State::Fresh => read.data().map_or(0, digest),
            _ => 0,
        })
    });
    for (name, function) in
        [("C reader, borrowed", &b"hits_borrowed"[..]), ("C reader, shared", b"hits_shared")]
    {
        // SAFETY: as above.
        let Ok(run) = (unsafe { library.get::<Run>(function) }) else { continue };
        contest.add(name, 1_000, move |operations| through_c(&run, handle, fixture, operations));
    }
    contest.run()?;
    // SAFETY: opened above, and used by nobody any more.
    unsafe { close(handle) };
    Ok(())
}

fn through_c(
    run: &Symbol<'_, Run>,
    handle: *mut c_void,
    fixture: &Fixture,
    operations: usize,
) -> Outcome<Duration> {
    let order = &fixture.order;
    let start = Instant::now();
    // SAFETY: `handle` is open; `order` has as many indices as told, each below the number of keys.
    let sum = unsafe { run(handle, order.as_ptr(), order.len(), operations) };
    let took = start.elapsed();
    let sums: u64 =
        (0..operations).map(|at| fixture.expected[order[at % order.len()]]).fold(0, u64::wrapping_add);
    check(sum == sums, || format!("wrong values were served through C: sum {sum} instead of {sums}"))?;
    Ok(took)
}
