//! `Hub`: where the asynchronous half of every call runs, and how its outcome gets back to the event loop.
//!
//! A call that may wait or flush is submitted with a number of JavaScript's choosing, runs on a native thread,
//! and its outcome is queued; one weak thread-safe function per environment tells the event loop to `take` what
//! is there. So nothing blocks the loop or libuv's four threads, however many waits are pending, and nothing
//! here keeps the process alive: the TypeScript side does, for foreground calls. Threads are kept for a few
//! seconds and started on demand; they hold no reference into the environment. It does not know what it runs.

use crate::failure::{ErrorFacts, contain};
use forebay::{Code, Error};
use napi::bindgen_prelude::{External, Function, Object, ToNapiValue, sys};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread without work is kept.
const IDLE: Duration = Duration::from_secs(5);
/// The core needs little; a thousand waits shall not reserve gigabytes.
const STACK: usize = 512 * 1024;

type Task = Box<dyn FnOnce() + Send>;
type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

/// For what is soon done: looks, commits, guards. More at once would only wait for the same disk.
static BRIEF: Crew = Crew::new(16);
/// For waits: as many as are pending.
static PATIENT: Crew = Crew::new(usize::MAX);

/// Threads of this process, for all environments (main thread and workers) together.
struct Crew {
    most: usize,
    state: Mutex<Roster>,
    news: Condvar,
}

struct Roster {
    tasks: VecDeque<Task>,
    idle: usize,
    hired: usize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    const fn new(most: usize) -> Crew {
        let state = Mutex::new(Roster { tasks: VecDeque::new(), idle: 0, hired: 0 });
        Crew { most, state, news: Condvar::new() }
    }

    /// Runs the task on a thread that is idle or new. It waits for one only where no more can be started.
    fn run(&'static self, task: Task) -> forebay::Result<()> {
        let mut roster = locked(&self.state);
        roster.tasks.push_back(task);
        if roster.tasks.len() <= roster.idle {
            self.news.notify_one();
            return Ok(());
        }
        if roster.hired >= self.most {
            return Ok(());
        }
        let started = std::thread::Builder::new()
            .name("forebay".to_owned())
            .stack_size(STACK)
            .spawn(move || self.work());
        match started {
            Ok(_) => roster.hired += 1,
            // Others will be done soon; who waits may do so for ever.
            Err(_) if roster.hired > 0 && self.most < usize::MAX => {}
            Err(error) => {
                roster.tasks.pop_back();
                return Err(Error::new(Code::Io, format!("cannot start a thread: {error}"))
                    .with_hint("raise the limit of processes (ulimit -u)"));
            }
        }
        Ok(())
    }

    fn work(&self) {
        let mut roster = locked(&self.state);
        loop {
            if let Some(task) = roster.tasks.pop_front() {
                drop(roster);
                task();
                roster = locked(&self.state);
                continue;
            }
            roster.idle += 1;
            let (back, timeout) =
                self.news.wait_timeout(roster, IDLE).unwrap_or_else(PoisonError::into_inner);
            roster = back;
            roster.idle -= 1;
            if timeout.timed_out() && roster.tasks.is_empty() {
                roster.hired -= 1;
                return;
            }
        }
    }
}

type Build = Box<dyn FnOnce(sys::napi_env) -> napi::Result<sys::napi_value> + Send>;

/// What became of one submitted call.
pub struct Outcome {
    id: u32,
    result: Result<Build, ErrorFacts>,
}

impl ToNapiValue for Outcome {
    unsafe fn to_napi_value(env: sys::napi_env, outcome: Self) -> napi::Result<sys::napi_value> {
        let mut object = Object::new(&Env::from_raw(env))?;
        object.set("id", outcome.id)?;
        match outcome.result {
            Ok(build) => object.set("value", Made(build))?,
            Err(facts) => object.set("error", facts)?,
        }
        // SAFETY: `env` is the environment that the caller of this function is in.
        unsafe { ToNapiValue::to_napi_value(env, object) }
    }
}

struct Made(Build);

impl ToNapiValue for Made {
    unsafe fn to_napi_value(env: sys::napi_env, made: Self) -> napi::Result<sys::napi_value> {
        (made.0)(env)
    }
}

struct Desk {
    outcomes: Mutex<Vec<Outcome>>,
    bell: Bell,
    /// Cleared when the environment goes: waits on its behalf end.
    open: AtomicBool,
}

/// One environment's hub. Dropped by Node with the environment.
pub struct Hub(Arc<Desk>);

impl Drop for Hub {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Release);
    }
}

/// A flag that ends a wait early; shared by the JavaScript side and the thread that waits.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// What a running task can ask: whether to stop waiting.
pub(crate) struct Stop {
    desk: Arc<Desk>,
    interrupt: Option<Interrupt>,
}

impl Stop {
    pub(crate) fn requested(&self) -> bool {
        !self.desk.open.load(Ordering::Acquire)
            || self.interrupt.as_ref().is_some_and(|flag| flag.0.load(Ordering::Acquire))
    }
}

impl Hub {
    /// Runs `work`, which is soon done, on a thread and delivers its outcome under `id`.
    pub(crate) fn submit<T, F>(&self, id: u32, work: F) -> forebay::Result<()>
    where
        T: ToNapiValue + Send + 'static,
        F: FnOnce() -> forebay::Result<T> + Send + 'static,
    {
        self.send(&BRIEF, id, None, move |_| work())
    }

    /// The same for work that waits, and that `interrupt` ends.
    pub(crate) fn submit_wait<T, F>(
        &self,
        id: u32,
        interrupt: Option<&Interrupt>,
        work: F,
    ) -> forebay::Result<()>
    where
        T: ToNapiValue + Send + 'static,
        F: FnOnce(&Stop) -> forebay::Result<T> + Send + 'static,
    {
        self.send(&PATIENT, id, interrupt, work)
    }

    fn send<T, F>(
        &self,
        crew: &'static Crew,
        id: u32,
        interrupt: Option<&Interrupt>,
        work: F,
    ) -> forebay::Result<()>
    where
        T: ToNapiValue + Send + 'static,
        F: FnOnce(&Stop) -> forebay::Result<T> + Send + 'static,
    {
        let stop = Stop { desk: self.0.clone(), interrupt: interrupt.cloned() };
        crew.run(Box::new(move || {
            let result = match contain(|| work(&stop)) {
                Ok(value) => Ok(Box::new(move |env| {
                    // SAFETY: called by `take` only, on the environment's own thread, with its `env`.
                    unsafe { T::to_napi_value(env, value) }
                }) as Build),
                Err(error) => Err(ErrorFacts::from(&error)),
            };
            stop.desk.deliver(Outcome { id, result });
        }))
    }
}

impl Desk {
    fn deliver(&self, outcome: Outcome) {
        let mut outcomes = locked(&self.outcomes);
        outcomes.push(outcome);
        let first = outcomes.len() == 1;
        drop(outcomes);
        if first {
            // An environment that is going has nobody to tell: the status says so, and nothing follows from it.
            let _closing = self.bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// Makes the hub of this environment; `bell` is called, in the event loop, when there are outcomes to take.
#[napi]
pub fn hub_open(bell: Function<'_, (), ()>) -> napi::Result<External<Hub>> {
    let bell = bell.build_threadsafe_function::<()>().weak::<true>().build()?;
    Ok(External::new(Hub(Arc::new(Desk {
        outcomes: Mutex::new(Vec::new()),
        bell,
        open: AtomicBool::new(true),
    }))))
}

/// The outcomes since the last call, in the order in which they came.
#[napi]
pub fn hub_take(hub: &External<Hub>) -> Vec<Outcome> {
    std::mem::take(&mut *locked(&hub.0.outcomes))
}

/// A flag for one or more waits.
#[napi]
pub fn interrupt_new() -> External<Interrupt> {
    External::new(Interrupt::default())
}

/// Ends the waits that were given this flag, within 25 ms.
#[napi]
pub fn interrupt_set(interrupt: &External<Interrupt>) {
    interrupt.0.store(true, Ordering::Release);
}
