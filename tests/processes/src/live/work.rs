//! What a worker does: anything to the graph, at random, a line of output for each deed, until it is killed; or one
//! deed at a time, for tests that kill it at each of its calls.

use super::{FILES, RESULTS, file, get, key, open};
use forebay::{Code, Live, Result};
use std::io::{BufRead, Write};
use std::path::Path;

/// Numbers that depend on the seed alone.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// One of the numbers below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// The same as an index.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads it where the other end is gone.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Works until it is killed.
///
/// # Errors
/// Whatever is not expected where others work on the same results and are killed.
pub fn endlessly(folder: &Path, seed: u64) -> Result<()> {
    let mut dice = Dice(seed);
    let mut live = open(folder)?;
    loop {
        let deed = random_deed(&mut dice);
        match deed_of(&live, folder, &deed) {
            Ok(()) => say("done"),
            Err(error) if matches!(error.code(), Code::Superseded | Code::LeaseLost | Code::LockTimeout) => {
                say("went meanwhile");
            }
            Err(error) => return Err(error),
        }
        if dice.below(64) == 0 {
            live = open(folder)?;
        }
    }
}

fn random_deed(dice: &mut Dice) -> Vec<String> {
    let number = dice.index(RESULTS).to_string();
    let words = match dice.below(100) {
        0..72 => vec!["get", &number],
        72..80 => vec!["look", &number],
        80..87 => vec!["path", &number],
        87..91 => vec!["tag", &number],
        91..94 => vec!["dirty", &number],
        94..96 => vec!["dependents", &number],
        96..98 => vec!["evict", "200000"],
        _ => vec!["gc"],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// Does one thing to the graph: `get N`, `look N`, `path N`, `tag N`, `dirty N`, `dependents N`, `evict BYTES`, `gc`,
/// `put N TEXT`, or `fill`, which ends when the index is full.
///
/// # Errors
/// Those of the deed.
pub fn deed_of(live: &Live, folder: &Path, words: &[String]) -> Result<()> {
    let number = words.get(1).and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
    match words.first().map(String::as_str).unwrap_or_default() {
        "get" => get(live, folder, number).map(drop),
        "look" => live.lookup_revalidate(&key(number)).map(drop),
        "path" => live.invalidate_path(file(number % FILES)).map(drop),
        "tag" => live.invalidate_tag(&format!("of {}", number % 2)).map(drop),
        "dirty" => live.mark_dirty(&key(number)).map(drop),
        "dependents" => live.invalidate_upstream(&key(number)).map(drop),
        "evict" => live.evict_to_cap(number as u64).map(drop),
        "gc" => live.gc().map(drop),
        "put" => live
            .persist(&key(number), words.get(2).map_or("", String::as_str).as_bytes(), "put", &[])
            .map(drop),
        "fill" => fill(live),
        other => Err(forebay::Error::new(Code::Invalid, format!("no such deed: {other}"))),
    }
}

fn fill(live: &Live) -> Result<()> {
    for number in 1000.. {
        let inputs = [forebay::Input::Tag(format!("{number}"))];
        if let Err(error) = live.persist(&key(number), &vec![7; 1 + number % 3000], "fill", &inputs) {
            return if error.code() == Code::Full { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// Does each of the deeds, with a line of output for each; `hold N` computes a result, and says `computing`, for as
/// long as its input is open; `repeat N DEED…` does one many times.
///
/// # Errors
/// The first that a deed ends with.
pub fn in_turn(folder: &Path, deeds: &[String]) -> Result<()> {
    let live = open(folder)?;
    for deed in deeds {
        let words: Vec<String> = deed.split(' ').map(str::to_owned).collect();
        match words.first().map(String::as_str) {
            Some("hold") => hold(&live, words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0))?,
            Some("repeat") => {
                for _ in 0..words[1].parse::<u32>().unwrap_or(1) {
                    deed_of(&live, folder, &words[2..])?;
                }
            }
            _ => deed_of(&live, folder, &words)?,
        }
        say("done");
    }
    Ok(())
}

fn hold(live: &Live, number: usize) -> Result<()> {
    let held = live.get_or_compute(&key(number), &[], &[], "held", |_| {
        say("computing");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| "held")
    });
    held.map(drop)
}
