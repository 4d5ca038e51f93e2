//! The judge: holds what was logged against the promise. It knows only what callers were told and when, never
//! what was on disk, so it judges as a user would; its rules lean to the side of the accused.

use super::log::Event;
use super::worker::LEASE;
use std::collections::{BTreeMap, HashMap};

/// What was found, by the name of the fault, with one example each.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Faults by name: how many, and the first.
    pub faults: BTreeMap<&'static str, (u64, String)>,
    /// How many reads were judged.
    pub reads: u64,
    /// How many leases were taken.
    pub leases: u64,
    /// How many commits were acknowledged.
    pub commits: u64,
    /// The longest time in which nobody got a commit through on some key, in ms.
    pub longest_gap_ms: i64,
}

impl Verdict {
    fn fault(&mut self, name: &'static str, example: impl FnOnce() -> String) {
        let entry = self.faults.entry(name).or_insert_with(|| (0, example()));
        entry.0 += 1;
    }

    /// How many faults there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.faults.values().map(|(count, _)| count).sum()
    }
}

/// One key's history.
#[derive(Default)]
struct History {
    acquires: Vec<Event>,
    commits: Vec<Event>,
    puts: Vec<Event>,
    notices: Vec<Event>,
    removes: Vec<Event>,
    reads: Vec<Event>,
    /// When each lease's ending call began.
    ended: HashMap<u64, i64>,
}

/// Judges a run. A key on which nothing was committed for `longest_gap_ms` counts as stuck.
#[must_use]
pub fn judge(events: &[Event], longest_gap_ms: i64) -> Verdict {
    let mut verdict = Verdict::default();
    let mut keys: BTreeMap<usize, History> = BTreeMap::new();
    let mut deaths: HashMap<u32, i64> = HashMap::new();
    for event in events {
        if event.word.starts_with("error:") || matches!(event.word.as_str(), "torn" | "undescribed") {
            let name =
                if event.word.starts_with("error:") { "unexpected error" } else { "torn or undescribed" };
            verdict.fault(name, || event.line());
            continue;
        }
        if event.what == "kill" {
            deaths.insert(event.pid, event.begin);
            continue;
        }
        keys.entry(event.key).or_default().add(event);
    }
    for history in keys.values() {
        verdict.reads += history.reads.len() as u64;
        verdict.leases += history.acquires.len() as u64;
        verdict.commits += history.commits.len() as u64;
        history.two_holders(&deaths, &mut verdict);
        history.late_commits(&mut verdict);
        history.backward_reads(&mut verdict);
        history.lost_notices(&mut verdict);
        history.gaps(longest_gap_ms, &mut verdict);
    }
    verdict
}

impl History {
    fn add(&mut self, event: &Event) {
        let acknowledged = event.end > 0 && event.word == "ok";
        match event.what.as_str() {
            "acquire" => self.acquires.push(event.clone()),
            "complete" | "unchanged" | "fail" => {
                self.ended.entry(event.token).or_insert(event.begin);
                if acknowledged && event.what != "fail" {
                    self.commits.push(event.clone());
                }
            }
            "put" if acknowledged => self.puts.push(event.clone()),
            "notice" if acknowledged => self.notices.push(event.clone()),
            // A remove that was begun may have happened; what ends it is not known if it was killed.
            "remove" => self.removes.push(event.clone()),
            "read" | "tag" | "join" => self.reads.push(event.clone()),
            _ => {}
        }
    }

    fn removed_between(&self, from: i64, to: i64) -> bool {
        let end = |event: &Event| {
            let told = self.removes.iter().find(|other| other.begin == event.begin && other.end > 0);
            told.map_or(i64::MAX, |told| told.end)
        };
        self.removes.iter().any(|event| event.begin < to && end(event) > from)
    }

    /// A lease given while another was certainly held: taken, not ended, its holder alive and in time.
    fn two_holders(&self, deaths: &HashMap<u32, i64>, verdict: &mut Verdict) {
        let grace = 3 * i64::try_from(LEASE.as_nanos()).unwrap_or(0);
        let mut before: Option<&Event> = None;
        for next in &self.acquires {
            if let Some(held) = before {
                let ended = self.ended.get(&held.token).copied().unwrap_or(held.end);
                let died = deaths.get(&held.pid).copied().unwrap_or(i64::MAX);
                let until = ended.min(died).min(held.begin + grace);
                if next.begin > held.end && next.end < until && !self.removed_between(held.begin, next.end) {
                    verdict.fault("two holders", || format!("{} {}", held.line().trim(), next.line()));
                }
            }
            before = Some(next);
        }
    }

    /// A commit that was acknowledged although another lease, or a put, came after its own and before its call.
    fn late_commits(&self, verdict: &mut Verdict) {
        let mut acquires: Vec<&Event> = self.acquires.iter().collect();
        acquires.sort_by_key(|event| event.token);
        for commit in &self.commits {
            let at = acquires.partition_point(|event| event.token <= commit.token);
            let later = acquires[at..].iter().take(64).find(|event| event.end < commit.begin);
            if let Some(later) = later {
                verdict
                    .fault("commit by a non-holder", || format!("{} {}", commit.line().trim(), later.line()));
            }
            let Some(own) = acquires[..at].last().filter(|event| event.token == commit.token) else {
                continue;
            };
            let from = self.puts.partition_point(|put| put.begin < own.end);
            let put = self.puts[from..]
                .iter()
                .take_while(|put| put.begin < commit.begin)
                .find(|put| put.end < commit.begin);
            if let Some(put) = put {
                verdict.fault("commit over a put", || format!("{} {}", commit.line().trim(), put.line()));
            }
        }
    }

    /// A read that began after a commit was acknowledged, or after another read, and saw something older.
    fn backward_reads(&self, verdict: &mut Verdict) {
        // By end: what was surely there at a time is the greatest token of all that ended before it.
        let told = self.commits.iter().chain(self.reads.iter().filter(|read| read.token > 0));
        let mut told: Vec<(i64, i64, u64)> =
            told.map(|event| (event.end, event.begin, event.token)).collect();
        told.sort_unstable();
        let (mut next, mut greatest) = (0, (0, 0));
        let mut reads: Vec<&Event> = self.reads.iter().filter(|read| read.what != "join").collect();
        reads.sort_by_key(|read| read.begin);
        for read in reads {
            while next < told.len() && told[next].0 < read.begin {
                if told[next].2 > greatest.1 {
                    greatest = (told[next].1, told[next].2);
                }
                next += 1;
            }
            if read.token < greatest.1 && !self.removed_between(greatest.0, read.end) {
                let name = match (read.what.as_str(), read.token) {
                    (_, 0) => "value lost",
                    ("tag", _) => "backward read by tag",
                    _ => "backward read",
                };
                verdict.fault(name, || format!("{} had {}", read.line().trim(), greatest.1));
            }
        }
    }

    /// A value read as fresh that was fetched before a notice which was acknowledged before the read.
    fn lost_notices(&self, verdict: &mut Verdict) {
        let taken: HashMap<u64, &Event> = self.acquires.iter().map(|event| (event.token, event)).collect();
        let mut notices: Vec<&Event> = self.notices.iter().collect();
        notices.sort_by_key(|notice| notice.end);
        for read in self.reads.iter().filter(|read| read.word == "fresh" && read.what != "join") {
            let Some(lease) = taken.get(&read.token) else { continue };
            let before = notices.partition_point(|notice| notice.end < read.begin);
            let lost = notices[..before].iter().rev().take(32).find(|notice| notice.begin > lease.end);
            if let Some(notice) = lost {
                verdict.fault("notice lost", || format!("{} {}", notice.line().trim(), read.line()));
            }
        }
    }

    fn gaps(&self, longest_ms: i64, verdict: &mut Verdict) {
        let mut ends: Vec<i64> = self.commits.iter().chain(&self.puts).map(|event| event.end).collect();
        ends.sort_unstable();
        for pair in ends.windows(2) {
            let gap = (pair[1] - pair[0]) / 1_000_000;
            verdict.longest_gap_ms = verdict.longest_gap_ms.max(gap);
            if gap > longest_ms {
                verdict.fault("no progress", || format!("{gap} ms"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: &str, begin: i64, end: i64, token: u64, word: &str) -> Event {
        Event { what: what.into(), key: 0, pid: 1, begin, end, token, word: word.into() }
    }

    fn found(events: &[Event]) -> Vec<&'static str> {
        judge(events, 1000).faults.into_keys().collect()
    }

    #[test]
    fn each_fault_is_found_and_a_sound_history_is_not_accused() {
        let sound = [
            event("acquire", 1, 2, 10, "ok"),
            event("complete", 3, 0, 10, "begun"),
            event("complete", 3, 5, 10, "ok"),
            event("read", 6, 7, 10, "fresh"),
        ];
        assert!(found(&sound).is_empty());
        let with = |more: &[Event]| {
            let mut events = sound.to_vec();
            events.extend_from_slice(more);
            events.sort_by_key(|event| event.begin);
            found(&events)
        };
        assert_eq!(with(&[event("read", 8, 9, 9, "stale")]), ["backward read"]);
        assert_eq!(with(&[event("tag", 8, 9, 9, "stale")]), ["backward read by tag"]);
        assert_eq!(with(&[event("read", 8, 9, 0, "absent")]), ["value lost"]);
        assert!(with(&[event("remove", 7, 0, 0, "begun"), event("read", 8, 9, 0, "absent")]).is_empty());
        assert_eq!(with(&[event("read", 8, 9, 10, "torn")]), ["torn or undescribed"]);
        assert_eq!(with(&[event("notice", 4, 5, 0, "ok")]), ["notice lost"]);
        assert!(with(&[event("notice", 1, 5, 0, "ok")]).is_empty());
        let later = [event("acquire", 3, 4, 11, "ok"), event("complete", 6, 9, 10, "ok")];
        assert!(with(&later).contains(&"commit by a non-holder"));
        let put = [event("put", 3, 4, 0, "ok"), event("complete", 6, 9, 10, "ok")];
        assert!(with(&put).contains(&"commit over a put"));
        let second = [
            event("acquire", 20, 21, 12, "ok"),
            event("acquire", 22, 23, 13, "ok"),
            event("complete", 30, 31, 12, "ok"),
        ];
        assert!(with(&second).contains(&"two holders"));
        assert_eq!(with(&[event("put", 8, 2_000_000_000, 0, "ok")]), ["no progress"]);
    }
}
