//! A worker: makes every call at random, for ever, and logs what it did and saw. It is killed, not ended.

use super::KEYS;
use super::log::{Event, Log, now};
use forebay::{
    AcquireOptions, Acquired, Cache, CacheOptions, Code, Commit, Durability, Error, Failure, Reader, Source,
    State, Ticket, Value,
};
use std::path::Path;
use std::time::Duration;

/// How long the leases of a soak are.
pub const LEASE: Duration = Duration::from_millis(10);
const TTL: Duration = Duration::from_secs(3600);

/// A small generator: the same seed, the same calls.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins from that seed.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }
}

struct Worker {
    log: Log,
    dice: Dice,
    sources: Vec<Source>,
    readers: Vec<Reader>,
    count: u64,
}

/// Works until killed.
///
/// # Errors
/// What keeps it from beginning.
pub fn work(root: &Path, logs: &Path, seed: u64) -> Result<(), Box<dyn std::error::Error>> {
    let cache: Cache = CacheOptions::new().root(root).durability(Durability::None).open()?;
    let sources: Vec<Source> = KEYS.iter().map(|key| cache.source(key).ttl(TTL).deadline(LEASE)).collect();
    let readers = sources.iter().map(Source::reader).collect();
    let mut worker = Worker { log: Log::open(logs)?, dice: Dice::new(seed), sources, readers, count: 0 };
    loop {
        worker.turn();
    }
}

impl Worker {
    fn turn(&mut self) {
        let key = usize::try_from(self.dice.below(self.sources.len() as u64)).unwrap_or(0);
        match self.dice.below(100) {
            0..30 => self.refresh(key),
            30..38 => self.put(key),
            38..44 => self.notice(key),
            44..45 => self.remove(key),
            45..52 => self.join(key),
            52..76 => self.read(key),
            _ => self.read_by_tag(key),
        }
    }

    fn tell(&mut self, what: &str, key: usize, begin: i64, end: i64, token: u64, word: &str) {
        let (what, word, pid) = (what.to_owned(), word.to_owned(), std::process::id());
        self.log.write(&Event { what, key, pid, begin, end, token, word });
    }

    /// Bytes that tell whether they are whole and whose they are.
    fn bytes(&mut self, key: usize) -> Vec<u8> {
        self.count += 1;
        let size = 64 + self.dice.below(6000);
        let head = format!("{key} {} {} {size} ", std::process::id(), self.count);
        let mut bytes = head.into_bytes();
        let fill = b'a' + u8::try_from(self.count % 26).unwrap_or(0);
        bytes.resize(usize::try_from(size).unwrap_or(64), fill);
        bytes
    }

    fn refresh(&mut self, key: usize) {
        let ask = AcquireOptions { override_gate: true, ..AcquireOptions::default() };
        let begin = now();
        let acquired = self.sources[key].acquire(&ask);
        let end = now();
        let ticket = match acquired {
            Ok(Acquired::Ticket(ticket)) => ticket,
            Ok(_) => return,
            Err(error) => return self.fault_of("acquire", key, begin, &error),
        };
        self.tell("acquire", key, begin, end, ticket.token(), "ok");
        self.think();
        match self.dice.below(20) {
            0 => drop(ticket),
            1 => self.end_with(key, "fail", &ticket, |ticket, _| {
                ticket.fail(&Failure::new(Code::Io, "on purpose")).map(|()| Value::default())
            }),
            2 => self.renew(key, &ticket),
            3..6 if ticket.previous().is_some() => {
                self.end_with(key, "unchanged", &ticket, |ticket, _| ticket.unchanged(&Commit::default()));
            }
            _ => self.end_with(key, "complete", &ticket, |ticket, bytes| {
                ticket.complete(bytes, &Commit::default())
            }),
        }
    }

    fn renew(&mut self, key: usize, ticket: &Ticket) {
        let _ = ticket.renew(LEASE);
        self.think();
        self.end_with(key, "complete", ticket, |ticket, bytes| ticket.complete(bytes, &Commit::default()));
    }

    fn end_with(
        &mut self,
        key: usize,
        what: &str,
        ticket: &Ticket,
        end: impl FnOnce(&Ticket, &[u8]) -> Result<Value, Error>,
    ) {
        let bytes = self.bytes(key);
        let begin = now();
        self.tell(what, key, begin, 0, ticket.token(), "begun");
        let word = match end(ticket, &bytes) {
            Ok(_) => "ok".to_owned(),
            Err(error) if matches!(error.code(), Code::LeaseLost | Code::Superseded) => {
                error.code().as_str().to_owned()
            }
            Err(error) => return self.fault_of(what, key, begin, &error),
        };
        self.tell(what, key, begin, now(), ticket.token(), &word);
    }

    fn put(&mut self, key: usize) {
        let bytes = self.bytes(key);
        let begin = now();
        self.tell("put", key, begin, 0, 0, "begun");
        match self.sources[key].put(&bytes, &Commit::default()) {
            Ok(_) => self.tell("put", key, begin, now(), 0, "ok"),
            Err(error) => self.fault_of("put", key, begin, &error),
        }
    }

    fn notice(&mut self, key: usize) {
        let begin = now();
        self.tell("notice", key, begin, 0, 0, "begun");
        match self.sources[key].mark_stale() {
            Ok(()) => self.tell("notice", key, begin, now(), 0, "ok"),
            Err(error) => self.fault_of("notice", key, begin, &error),
        }
    }

    fn remove(&mut self, key: usize) {
        let begin = now();
        self.tell("remove", key, begin, 0, 0, "begun");
        match self.sources[key].remove() {
            Ok(_) => self.tell("remove", key, begin, now(), 0, "ok"),
            Err(error) => self.fault_of("remove", key, begin, &error),
        }
    }

    /// Waits for whoever refreshes, or does it.
    fn join(&mut self, key: usize) {
        let bytes = self.bytes(key);
        let begin = now();
        let source = self.sources[key].clone();
        match source.refresh(|_| Ok::<_, std::io::Error>(bytes)) {
            Ok(value) => self.seen("join", key, begin, &Ok(value)),
            Err(error)
                if matches!(error.code(), Code::Io | Code::HolderDied | Code::LeaseLost)
                    && error.path().is_none() => {}
            Err(error) => self.fault_of("join", key, begin, &error),
        }
    }

    fn read(&mut self, key: usize) {
        let begin = now();
        let value = self.sources[key].read();
        self.seen("read", key, begin, &value);
    }

    fn read_by_tag(&mut self, key: usize) {
        for _ in 0..4 {
            let begin = now();
            let value = self.readers[key].value();
            self.seen("tag", key, begin, &value);
        }
    }

    fn seen(&mut self, what: &str, key: usize, begin: i64, value: &Result<Value, Error>) {
        let end = now();
        let value = match value {
            Ok(value) => value,
            Err(error) => return self.fault_of(what, key, begin, error),
        };
        if let Some(error) = value.error.as_ref().filter(|error| error.code() == Code::Damaged) {
            return self.fault_of(what, key, begin, error);
        }
        let token = value.entry.as_ref().and_then(|entry| entry.token).unwrap_or(0);
        let word = match value.data() {
            None => "absent",
            Some(data) if !is_whole(data, key) => "torn",
            Some(_) if token == 0 && what != "join" && value.state == State::Fresh => "undescribed",
            // Eight looks met a commit each: whole, stale, and without a version to hold against others.
            Some(_) if token == 0 => return,
            Some(_) if value.state == State::Fresh => "fresh",
            Some(_) => "stale",
        };
        self.tell(what, key, begin, end, token, word);
    }

    fn fault_of(&mut self, what: &str, key: usize, begin: i64, error: &Error) {
        let word = format!("error:{}:{}", error.code(), error.to_string().replace(' ', "_"));
        self.tell(what, key, begin, now(), 0, &word);
    }

    /// Lets a little time pass, as a fetch would; sometimes more than the lease.
    fn think(&mut self) {
        let most = if self.dice.below(20) == 0 { 40_000 } else { 4_000 };
        let pause = Duration::from_micros(self.dice.below(most));
        #[allow(clippy::disallowed_methods, reason = "the time of a fetch is what is simulated")]
        std::thread::sleep(pause);
    }
}

fn is_whole(data: &[u8], key: usize) -> bool {
    let mut parts = data.splitn(5, |byte| *byte == b' ').map(|part| std::str::from_utf8(part).unwrap_or(""));
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (Some(of), Some(_), Some(count), Some(size)) = (number(), number(), number(), number()) else {
        return false;
    };
    let fill = b'a' + u8::try_from(count % 26).unwrap_or(0);
    of == key as u64 && data.len() as u64 == size && data.last() == Some(&fill)
}
