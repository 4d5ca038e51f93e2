//! `Contest`: contestants timed in turn, so that a noisy machine is noisy for all of them.
//!
//! Each round gives every contestant one batch, in an order that changes from round to round; a ratio is then
//! taken within a round and its median over all rounds. Batches are sized so that they take about the same
//! time. Printing is a JSON line per contest; a contest knows nothing of goals.

use crate::Outcome;
use std::time::{Duration, Instant};

/// Runs so many operations and says how long they took.
pub type Batch<'a> = Box<dyn FnMut(usize) -> Outcome<Duration> + 'a>;

struct Contestant<'a> {
    name: String,
    batch: Batch<'a>,
    operations: usize,
    nanos: Vec<f64>,
}

/// Contestants measured against each other.
pub struct Contest<'a> {
    group: &'static str,
    rounds: usize,
    aim: Duration,
    contestants: Vec<Contestant<'a>>,
}

impl<'a> Contest<'a> {
    /// `aim` is how long a batch should take.
    pub fn new(group: &'static str, rounds: usize, aim: Duration) -> Self {
        Self { group, rounds, aim, contestants: Vec::new() }
    }

    /// Adds a contestant; batches start at `least` operations. The environment's `BENCH_ONLY`, a part of a name,
    /// leaves others out: for a profiler.
    pub fn add(&mut self, name: &str, least: usize, batch: impl FnMut(usize) -> Outcome<Duration> + 'a) {
        if std::env::var("BENCH_ONLY").is_ok_and(|only| !name.contains(&only)) {
            return;
        }
        self.contestants.push(Contestant {
            name: name.to_owned(),
            batch: Box::new(batch),
            operations: least,
            nanos: Vec::new(),
        });
    }

    /// Measures and prints.
    pub fn run(mut self) -> Outcome<()> {
        self.interleave()?;
        self.print(self.group);
        Ok(())
    }

    /// Measures in turn, as [`Contest::run`] does, and then each contestant by itself, half as many rounds at a
    /// stretch, after `settle`: for those whose work goes on after they have returned, as writes do. The second
    /// measurement's group has " alone" in its name.
    pub fn run_alone_too(mut self, settle: impl Fn()) -> Outcome<()> {
        settle();
        self.interleave()?;
        self.print(self.group);
        for contestant in &mut self.contestants {
            contestant.nanos.clear();
            settle();
            for _ in 0..self.rounds.div_ceil(2) {
                contestant.once()?;
            }
        }
        self.print(&format!("{} alone", self.group));
        Ok(())
    }

    fn interleave(&mut self) -> Outcome<()> {
        for contestant in &mut self.contestants {
            contestant.calibrate(self.aim)?;
        }
        let mut order: Vec<usize> = (0..self.contestants.len()).collect();
        let mut random = Random::new(self.group.len() as u64 + 1);
        for _ in 0..self.rounds {
            random.shuffle(&mut order);
            for &at in &order {
                self.contestants[at].once()?;
            }
        }
        Ok(())
    }

    fn print(&self, group: &str) {
        let series = self.contestants.iter().map(|c| (c.name.clone(), c.nanos.clone().into()));
        let series: serde_json::Map<String, serde_json::Value> = series.collect();
        print_series(group, "ns", series.into());
    }
}

impl Contestant<'_> {
    /// Enlarges the batch until it takes about as long as asked; this is the warm-up too.
    fn calibrate(&mut self, aim: Duration) -> Outcome<()> {
        loop {
            let took = (self.batch)(self.operations)?;
            if took * 2 > aim {
                return Ok(());
            }
            let factor = aim.as_nanos() / took.as_nanos().max(1);
            self.operations *= usize::try_from(factor.clamp(2, 16))?;
        }
    }

    fn once(&mut self) -> Outcome<()> {
        let took = (self.batch)(self.operations)?;
        self.nanos.push(took.as_nanos() as f64 / self.operations as f64);
        Ok(())
    }
}

/// Prints one line for the collector: named lists of numbers that belong together, round by round.
pub fn print_series(group: &str, unit: &str, series: serde_json::Value) {
    println!("{}", serde_json::json!({"kind": "series", "group": group, "unit": unit, "series": series}));
}

/// Prints one line for the collector: something counted, or worth knowing beside a figure.
pub fn print_fact(name: &str, value: impl Into<serde_json::Value>) {
    println!("{}", serde_json::json!({"kind": "fact", "name": name, "value": value.into()}));
}

/// Times `operations` calls, each on the next index of `order`, and checks the sum of what they returned, so
/// that nothing is optimised away and no wrong value goes unnoticed.
#[inline(always)]
pub fn timed(
    operations: usize,
    order: &[usize],
    expected: &[u64],
    mut call: impl FnMut(usize) -> u64,
) -> Outcome<Duration> {
    let mut sum = 0u64;
    let mut left = operations;
    let start = Instant::now();
    while left > 0 {
        let pass = &order[..left.min(order.len())];
        for &at in pass {
            sum = sum.wrapping_add(call(at));
        }
        left -= pass.len();
    }
    let took = start.elapsed();
    let whole: u64 = order.iter().map(|&at| expected[at]).fold(0, u64::wrapping_add);
    let rest: u64 =
        order[..operations % order.len()].iter().map(|&at| expected[at]).fold(0, u64::wrapping_add);
    let right = whole.wrapping_mul((operations / order.len()) as u64).wrapping_add(rest);
    crate::check(sum == right, || format!("wrong values were served: sum {sum} instead of {right}"))?;
    Ok(took)
}

/// A small generator (xorshift64*), so that runs are alike.
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.number() >> 33) as usize) % bound
    }

    /// Any order of `items`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_no_figure() {
        let (order, expected) = ([2, 0, 1], [5, 6, 7]);
        for operations in [0, 1, 2, 3, 7] {
            assert!(timed(operations, &order, &expected, |at| expected[at]).is_ok(), "{operations}");
        }
        for wrong in 0..3 {
            let served = |at| if at == wrong { 0 } else { expected[at] };
            assert!(timed(3, &order, &expected, served).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_contestant_gets_a_batch_in_every_round() {
        use std::cell::RefCell;
        let batches = RefCell::new([0, 0]);
        let mut contest = Contest::new("test", 10, Duration::from_nanos(2));
        for which in 0..2 {
            let batches = &batches;
            contest.add(&which.to_string(), 1, move |_| {
                batches.borrow_mut()[which] += 1;
                Ok(Duration::from_nanos(10))
            });
        }
        contest.run().unwrap();
        // One each to find the size of a batch.
        assert_eq!(*batches.borrow(), [11, 11]);
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut items: Vec<usize> = (0..100).collect();
        Random::new(1).shuffle(&mut items);
        assert!(items.iter().enumerate().any(|(at, &item)| at != item));
        items.sort_unstable();
        assert!(items.iter().enumerate().all(|(at, &item)| at == item));
    }
}
