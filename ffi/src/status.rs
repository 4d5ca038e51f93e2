//! The numbers of the ABI: what calls return, and the words for states, hows, phases and events. The error codes
//! equal `forebay_core::Code`, which a test here holds. The enums name numbers; functions take and return
//! `int32_t`, because a C caller can pass any number.

use crate::args::forebay_slice;
use crate::guard::ffi_guard;
use forebay_core::{Code, Durability, EventKind, How, Phase, Started, State};
use std::ffi::{CStr, c_char};

/// What a call returns: 0 is success, a positive number an outcome that is no failure, and a negative one the code
/// of an error. See `forebay_code`.
pub type forebay_status = i32;

/// Outcomes and error codes. The numbers never change.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum forebay_code {
    /// Success; where a value came with it, it is fresh.
    FOREBAY_OK = 0,
    /// The value is stale, and may be used.
    FOREBAY_STALE = 1,
    /// The value is older than the source allows it to be served.
    FOREBAY_EXPIRED = 2,
    /// There is no value, or, from functions that wait, nothing arrived in that time.
    FOREBAY_ABSENT = 3,
    /// A refresh is running already.
    FOREBAY_IN_FLIGHT = 4,
    /// A gate forbids a refresh for now.
    FOREBAY_GATED = 5,
    /// The value is fresh: there was nothing to do.
    FOREBAY_FRESH = 6,
    /// A newer value was put while the refresh ran: what the refresh brought was not stored.
    FOREBAY_SUPERSEDED = 7,
    /// Something that a derived result was computed from has changed: the result is gone now.
    FOREBAY_INVALIDATED = 8,
    /// An argument is not usable.
    FOREBAY_E_INVALID = -1,
    /// The cache was closed, or belongs to a process that forked.
    FOREBAY_E_CLOSED = -2,
    /// There is nothing under that key.
    FOREBAY_E_NOT_FOUND = -3,
    /// The wait ended before there was anything to return. A refresh may still be running.
    FOREBAY_E_TIMED_OUT = -4,
    /// A gate forbids the next attempt for now, and there is nothing that may be served.
    FOREBAY_E_GATED = -5,
    /// The refresher failed, here or in the process that ran it.
    FOREBAY_E_REFRESH_FAILED = -6,
    /// The server said that there were too many requests (429).
    FOREBAY_E_RATE_LIMITED = -7,
    /// The server refused the credentials (401, 403).
    FOREBAY_E_UNAUTHORIZED = -8,
    /// The server is unavailable for now (503).
    FOREBAY_E_UNAVAILABLE = -9,
    /// There are no credentials to try with.
    FOREBAY_E_NO_CREDENTIALS = -10,
    /// The caller cancelled.
    FOREBAY_E_CANCELLED = -11,
    /// A guard lock could not be had in time: another process holds it, perhaps stopped.
    FOREBAY_E_LOCK_TIMEOUT = -12,
    /// The lease is no longer ours: nothing was written.
    FOREBAY_E_LEASE_LOST = -13,
    /// The process that ran the refresh died before it ended.
    FOREBAY_E_HOLDER_DIED = -14,
    /// A newer value was put meanwhile. Ending a ticket reports that as `FOREBAY_SUPERSEDED`. Of derived results: what
    /// one is computed from has changed meanwhile, or does not hold.
    FOREBAY_E_SUPERSEDED = -15,
    /// The command is being run by another caller.
    FOREBAY_E_IN_PROGRESS = -16,
    /// The key was used before with another request.
    FOREBAY_E_MISMATCH = -17,
    /// The effect was begun and its outcome is unknown.
    FOREBAY_E_AMBIGUOUS = -18,
    /// There is no room for another record.
    FOREBAY_E_FULL = -19,
    /// The ticket has been ended before.
    FOREBAY_E_ALREADY_USED = -20,
    /// This process holds as many leases as it may (256).
    FOREBAY_E_TOO_MANY_LEASES = -21,
    /// What is on disk is not what was written.
    FOREBAY_E_DAMAGED = -22,
    /// The root's owner or mode lets others change it.
    FOREBAY_E_UNSAFE_ROOT = -23,
    /// The file system is remote or not known to be local.
    FOREBAY_E_UNSUPPORTED_FS = -24,
    /// This build or platform cannot do that.
    FOREBAY_E_UNSUPPORTED = -25,
    /// The root was written by a newer major version.
    FOREBAY_E_NEWER_FORMAT = -26,
    /// The disk or the quota is full.
    FOREBAY_E_NO_SPACE = -27,
    /// The system refused access.
    FOREBAY_E_PERMISSION = -28,
    /// The system reported another error.
    FOREBAY_E_IO = -29,
    /// A bug of forebay's own was contained.
    FOREBAY_E_PANIC = -30,
}

/// Whether a value may be used.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_state {
    /// Younger than its ttl.
    FOREBAY_STATE_FRESH = 0,
    /// Older, and may be served.
    FOREBAY_STATE_STALE = 1,
    /// Older than `max_stale` allows.
    FOREBAY_STATE_EXPIRED = 2,
    /// There is none.
    FOREBAY_STATE_ABSENT = 3,
}

/// Where a value came from. -1 stands for "not known".
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_how {
    /// It was fresh: there was nothing to do.
    FOREBAY_HOW_FRESH = 0,
    /// A refresher ran here.
    FOREBAY_HOW_RAN = 1,
    /// A refresher ran here and found it unchanged.
    FOREBAY_HOW_UNCHANGED = 2,
    /// Another caller or process refreshed it.
    FOREBAY_HOW_COALESCED = 3,
    /// It is served stale: a gate is in force, or the refresh was not done in time, or failed.
    FOREBAY_HOW_STALE = 4,
    /// It is a fallback's.
    FOREBAY_HOW_FALLBACK = 5,
    /// It was fetched and returned, and could not be stored.
    FOREBAY_HOW_UNCOORDINATED = 6,
}

/// What a source's refresh is doing. -1 stands for "not looked at".
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_phase {
    /// Nothing.
    FOREBAY_PHASE_IDLE = 0,
    /// A refresh runs, in some process.
    FOREBAY_PHASE_RUNNING = 1,
    /// A refresh failed, and the next may not begin yet.
    FOREBAY_PHASE_COOLING = 2,
}

/// What a commit waits for. -1 is the default: of a source, its cache's; of a cache, `FOREBAY_DURABILITY_DATA`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_durability {
    /// Nothing: after a power cut the value may be gone, never torn.
    FOREBAY_DURABILITY_NONE = 0,
    /// The data is on the disk.
    FOREBAY_DURABILITY_DATA = 1,
    /// The data and its name are on the disk.
    FOREBAY_DURABILITY_FULL = 2,
}

/// What a `forebay_attempt` is for.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_mode {
    /// As `forebay_get`.
    FOREBAY_MODE_GET = 0,
    /// As `forebay_refresh_with`.
    FOREBAY_MODE_REFRESH = 1,
    /// As `forebay_maybe_refresh`.
    FOREBAY_MODE_MAYBE_REFRESH = 2,
    /// As `forebay_maybe_refresh_sync`.
    FOREBAY_MODE_MAYBE_REFRESH_SYNC = 3,
}

/// What the `_next` of an attempt, a resolve, a rotation or a computation asks for.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum forebay_step {
    /// Nothing more: the outcome is there.
    FOREBAY_STEP_DONE = 0,
    /// Of an attempt: do the work of the ticket, end it, and call next again.
    FOREBAY_STEP_RUN = 1,
    /// Another works: call the `_wait` of the same machine, then next again.
    FOREBAY_STEP_WAIT = 2,
    /// Of a resolve: give the credential, then call next again.
    FOREBAY_STEP_CREDENTIALS = 3,
    /// Of a resolve: fetch, say what came of it, then call next again.
    FOREBAY_STEP_FETCH = 4,
    /// Of a resolve: give what there is instead, then call next again.
    FOREBAY_STEP_FALLBACK = 5,
    /// Of a rotation: exchange the credential, say what came of it, then call next again.
    FOREBAY_STEP_EXCHANGE = 6,
    /// Of a computation: compute the result, say what came of it, then call next again.
    FOREBAY_STEP_COMPUTE = 7,
}

/// What kind of thing happened.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum forebay_event_kind {
    /// A fresh value was served.
    FOREBAY_EVENT_HIT = 0,
    /// A stale value was served.
    FOREBAY_EVENT_STALE_SERVED = 1,
    /// There was nothing to serve.
    FOREBAY_EVENT_MISS = 2,
    /// A lease was taken here.
    FOREBAY_EVENT_REFRESH_STARTED = 3,
    /// A new value was stored by a refresh here.
    FOREBAY_EVENT_REFRESH_SUCCEEDED = 4,
    /// The source said that the value is unchanged.
    FOREBAY_EVENT_REFRESH_UNCHANGED = 5,
    /// A refresh here failed.
    FOREBAY_EVENT_REFRESH_FAILED = 6,
    /// A caller here got the outcome of a refresh that another ran.
    FOREBAY_EVENT_COALESCED = 7,
    /// A lease of ours was found lost at its commit.
    FOREBAY_EVENT_LEASE_LOST = 8,
    /// A gate held an attempt back.
    FOREBAY_EVENT_GATED = 9,
    /// A value was marked stale or removed.
    FOREBAY_EVENT_INVALIDATED = 10,
    /// A value was removed for space or by prune.
    FOREBAY_EVENT_EVICTED = 11,
    /// A recorded answer was repeated.
    FOREBAY_EVENT_REPLAYED = 12,
    /// What is on disk was found damaged.
    FOREBAY_EVENT_DAMAGED = 13,
}

pub(crate) const OK: forebay_status = forebay_code::FOREBAY_OK as i32;
pub(crate) const ABSENT: forebay_status = forebay_code::FOREBAY_ABSENT as i32;
pub(crate) const IN_FLIGHT: forebay_status = forebay_code::FOREBAY_IN_FLIGHT as i32;
pub(crate) const GATED: forebay_status = forebay_code::FOREBAY_GATED as i32;
pub(crate) const FRESH: forebay_status = forebay_code::FOREBAY_FRESH as i32;
pub(crate) const SUPERSEDED: forebay_status = forebay_code::FOREBAY_SUPERSEDED as i32;
pub(crate) const INVALIDATED: forebay_status = forebay_code::FOREBAY_INVALIDATED as i32;
/// For what is not known or not there.
pub(crate) const UNKNOWN: i32 = -1;

/// The outcomes and their texts.
const OUTCOMES: [(forebay_code, &CStr); 9] = [
    (forebay_code::FOREBAY_OK, c"ok"),
    (forebay_code::FOREBAY_STALE, c"stale"),
    (forebay_code::FOREBAY_EXPIRED, c"expired"),
    (forebay_code::FOREBAY_ABSENT, c"absent"),
    (forebay_code::FOREBAY_IN_FLIGHT, c"in_flight"),
    (forebay_code::FOREBAY_GATED, c"gated"),
    (forebay_code::FOREBAY_FRESH, c"fresh"),
    (forebay_code::FOREBAY_SUPERSEDED, c"superseded"),
    (forebay_code::FOREBAY_INVALIDATED, c"invalidated"),
];

/// The outcome that a value in that state is.
pub(crate) fn of_state(state: State) -> forebay_status {
    match state {
        State::Fresh => OK,
        State::Stale => forebay_code::FOREBAY_STALE as i32,
        State::Expired => forebay_code::FOREBAY_EXPIRED as i32,
        State::Absent => ABSENT,
    }
}

pub(crate) fn of_started(started: Started) -> forebay_status {
    match started {
        Started::Started => OK,
        Started::Fresh => FRESH,
        Started::InFlight => IN_FLIGHT,
        Started::Gated => GATED,
    }
}

const STATES: [State; 4] = [State::Fresh, State::Stale, State::Expired, State::Absent];
const HOWS: [How; 7] =
    [How::Fresh, How::Ran, How::Unchanged, How::Coalesced, How::Stale, How::Fallback, How::Uncoordinated];
const PHASES: [Phase; 3] = [Phase::Idle, Phase::Running, Phase::Cooling];
const DURABILITIES: [Durability; 3] = [Durability::None, Durability::Data, Durability::Full];

/// The number of a word: its place in the table. What is not in it is [`UNKNOWN`].
fn number<T: Copy + PartialEq>(table: &[T], word: T) -> i32 {
    table.iter().position(|other| *other == word).and_then(|at| i32::try_from(at).ok()).unwrap_or(UNKNOWN)
}

pub(crate) fn state_number(state: State) -> i32 {
    number(&STATES, state)
}

pub(crate) fn how_number(how: Option<How>) -> i32 {
    how.map_or(UNKNOWN, |how| number(&HOWS, how))
}

pub(crate) fn phase_number(phase: Option<Phase>) -> i32 {
    phase.map_or(UNKNOWN, |phase| number(&PHASES, phase))
}

pub(crate) fn event_number(kind: EventKind) -> i32 {
    number(EventKind::ALL, kind)
}

/// The durability of that number; none for -1.
pub(crate) fn durability(number: i32) -> forebay_core::Result<Option<Durability>> {
    if number == UNKNOWN {
        return Ok(None);
    }
    let found = usize::try_from(number).ok().and_then(|at| DURABILITIES.get(at).copied());
    found.map(Some).ok_or_else(|| {
        forebay_core::Error::new(Code::Invalid, format!("durability is {number}"))
            .with_hint("give one of enum forebay_durability, or -1")
    })
}

/// The texts of the words as C strings. They are spelled out because a C string has to be static; the test holds
/// them against core's.
fn word(texts: &[&'static CStr], number: i32) -> *const c_char {
    usize::try_from(number).ok().and_then(|at| texts.get(at)).map_or(std::ptr::null(), |text| text.as_ptr())
}

const STATE_TEXTS: [&CStr; 4] = [c"fresh", c"stale", c"expired", c"absent"];
const HOW_TEXTS: [&CStr; 7] =
    [c"fresh", c"ran", c"unchanged", c"coalesced", c"stale", c"fallback", c"uncoordinated"];
const PHASE_TEXTS: [&CStr; 3] = [c"idle", c"running", c"cooling"];
const EVENT_TEXTS: [&CStr; 14] = [
    c"hit",
    c"stale_served",
    c"miss",
    c"refresh_started",
    c"refresh_succeeded",
    c"refresh_unchanged",
    c"refresh_failed",
    c"coalesced",
    c"lease_lost",
    c"gated",
    c"invalidated",
    c"evicted",
    c"replayed",
    c"damaged",
];
/// By the order of the numbers, -1 first.
const CODE_TEXTS: [&CStr; 30] = [
    c"invalid",
    c"closed",
    c"not_found",
    c"timed_out",
    c"gated",
    c"refresh_failed",
    c"rate_limited",
    c"unauthorized",
    c"unavailable",
    c"no_credentials",
    c"cancelled",
    c"lock_timeout",
    c"lease_lost",
    c"holder_died",
    c"superseded",
    c"in_progress",
    c"mismatch",
    c"ambiguous",
    c"full",
    c"already_used",
    c"too_many_leases",
    c"damaged",
    c"unsafe_root",
    c"unsupported_fs",
    c"unsupported",
    c"newer_format",
    c"no_space",
    c"permission",
    c"io",
    c"panic",
];

/// The text of a status: `"rate_limited"` for `FOREBAY_E_RATE_LIMITED`, `"stale"` for `FOREBAY_STALE`. Static; NULL
/// for a number that is none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_code_text(code: i32) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        if code >= 0 {
            return OUTCOMES
                .iter()
                .find(|(outcome, _)| *outcome as i32 == code)
                .map_or(std::ptr::null(), |(_, text)| text.as_ptr());
        }
        word(&CODE_TEXTS, code.checked_neg().map_or(UNKNOWN, |number| number - 1))
    })
}

/// The number of an error code's text: `FOREBAY_E_RATE_LIMITED` for `"rate_limited"`; 0 where there is none of that
/// text. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_code_from_text(text: forebay_slice) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for a readable slice.
        let text = unsafe { text.text("text") };
        text.ok().and_then(Code::from_text).map_or(0, Code::number)
    })
}

/// The text of a `forebay_state`, the same in every language. Static; NULL for a number that is none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_state_text(state: i32) -> *const c_char {
    ffi_guard!(else std::ptr::null(), { word(&STATE_TEXTS, state) })
}

/// The text of a `forebay_how`, the same in every language. Static; NULL for a number that is none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_how_text(how: i32) -> *const c_char {
    ffi_guard!(else std::ptr::null(), { word(&HOW_TEXTS, how) })
}

/// The text of a `forebay_phase`, the same in every language. Static; NULL for a number that is none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_phase_text(phase: i32) -> *const c_char {
    ffi_guard!(else std::ptr::null(), { word(&PHASE_TEXTS, phase) })
}

/// The text of a `forebay_event_kind`, the same in every language. Static; NULL for a number that is none. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_event_kind_text(kind: i32) -> *const c_char {
    ffi_guard!(else std::ptr::null(), { word(&EVENT_TEXTS, kind) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pointer: *const c_char) -> Option<&'static str> {
        // SAFETY: NULL, or one of the static texts.
        (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_str().unwrap())
    }

    /// The lines `NAME = number,` of an enum of this file, which are what the header says.
    fn written(name: &str) -> Vec<(String, i32)> {
        let source = include_str!("status.rs");
        let at = source.find(&format!("pub enum {name} {{")).unwrap();
        let body = &source[at..at + source[at..].find("\n}").unwrap()];
        body.lines()
            .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
            .filter(|(name, _)| name.starts_with("FOREBAY_"))
            .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_error_codes_are_those_of_core() {
        let errors: Vec<_> = written("forebay_code").into_iter().filter(|(_, number)| *number < 0).collect();
        let core: Vec<_> = Code::ALL
            .iter()
            .map(|code| (format!("FOREBAY_E_{}", code.as_str().to_uppercase()), code.number()))
            .collect();
        assert_eq!(errors, core);
        for code in Code::ALL {
            assert_eq!(text(forebay_code_text(code.number())), Some(code.as_str()));
        }
        assert_eq!(CODE_TEXTS.len(), Code::ALL.len());
    }

    #[test]
    fn the_outcomes_have_their_texts() {
        let outcomes: Vec<_> =
            written("forebay_code").into_iter().filter(|(_, number)| *number >= 0).collect();
        assert_eq!(outcomes.len(), OUTCOMES.len());
        for (name, number) in outcomes {
            let word = text(forebay_code_text(number)).unwrap();
            assert_eq!(name, format!("FOREBAY_{}", word.to_uppercase()));
        }
    }

    #[test]
    fn the_words_are_those_of_core() {
        let check = |name: &str, prefix: &str, words: &[&str], text_of: &dyn Fn(i32) -> *const c_char| {
            let names: Vec<_> = words.iter().map(|word| format!("{prefix}{}", word.to_uppercase())).collect();
            let written = written(name);
            assert_eq!(written.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
            for ((_, number), word) in written.iter().zip(words) {
                assert_eq!(text(text_of(*number)), Some(*word));
            }
            assert!(text_of(-1).is_null() && text_of(i32::try_from(words.len()).unwrap()).is_null());
        };
        let states: Vec<_> = STATES.iter().map(|state| state.as_str()).collect();
        check("forebay_state", "FOREBAY_STATE_", &states, &|number| forebay_state_text(number));
        let hows: Vec<_> = How::ALL.iter().map(|how| how.as_str()).collect();
        assert_eq!(HOWS, How::ALL);
        check("forebay_how", "FOREBAY_HOW_", &hows, &|number| forebay_how_text(number));
        let phases: Vec<_> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
        assert_eq!(PHASES, Phase::ALL);
        check("forebay_phase", "FOREBAY_PHASE_", &phases, &|number| forebay_phase_text(number));
        let kinds: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        check("forebay_event_kind", "FOREBAY_EVENT_", &kinds, &|number| forebay_event_kind_text(number));
        let durabilities: Vec<_> = written("forebay_durability");
        for (name, number) in durabilities {
            let word = durability(number).unwrap().unwrap().as_str();
            assert_eq!(name, format!("FOREBAY_DURABILITY_{}", word.to_uppercase()));
        }
        assert!(durability(-1).unwrap().is_none() && durability(3).is_err() && durability(-2).is_err());
    }
}
