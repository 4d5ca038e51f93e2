//! `Step`: one line of a tape (see core/src/sys/tape.rs), read. What is written there is trusted: a line that cannot
//! be read is an error of the test.

use std::path::Path;

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A file was made: in that folder, with that inode and name.
    Create(u64, u64, String),
    /// A folder was made, likewise.
    Mkdir(u64, u64, String),
    /// Bytes were written into an inode, at an offset.
    Write(u64, usize, Vec<u8>),
    /// An inode was preallocated to a size.
    Size(u64, usize),
    /// An inode's time of change was set.
    Stamp(u64, i64),
    /// A file's bytes were flushed.
    Flush(u64),
    /// A file was flushed, its time too.
    Sync(u64),
    /// A folder was flushed.
    FlushFolder(u64),
    /// From folder and name to folder and name.
    Rename(u64, String, u64, String),
    /// Two names of a folder were exchanged.
    Swap(u64, String, String),
    /// A second name was given.
    Link(u64, String, String),
    /// A name was taken away.
    Unlink(u64, String),
    /// A folder was removed.
    Rmdir(u64, String),
    /// What the process told of itself.
    Mark(String),
}

/// The steps of a tape.
///
/// # Errors
/// Those of the system, and a line that is none of ours.
pub fn read(path: &Path) -> std::io::Result<Vec<Step>> {
    let text = std::fs::read_to_string(path)?;
    text.lines()
        .map(|line| parse(line).ok_or_else(|| std::io::Error::other(format!("no line of a tape: {line:?}"))))
        .collect()
}

/// The step of a line.
#[must_use]
pub fn parse(line: &str) -> Option<Step> {
    let (verb, rest) = line.split_once(' ')?;
    if verb == "mark" {
        return Some(Step::Mark(rest.to_owned()));
    }
    let words: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    let word = |at: usize| words.get(at).map(|word| (*word).to_owned());
    Some(match verb {
        "create" => Step::Create(number(0)?, number(1)?, word(2)?),
        "mkdir" => Step::Mkdir(number(0)?, number(1)?, word(2)?),
        "write" => Step::Write(number(0)?, usize::try_from(number(1)?).ok()?, bytes(words.get(2)?)?),
        "size" => Step::Size(number(0)?, usize::try_from(number(1)?).ok()?),
        "stamp" => Step::Stamp(number(0)?, words.get(1)?.parse().ok()?),
        "flush" => Step::Flush(number(0)?),
        "sync" => Step::Sync(number(0)?),
        "flushdir" => Step::FlushFolder(number(0)?),
        "rename" => Step::Rename(number(0)?, word(1)?, number(2)?, word(3)?),
        "swap" => Step::Swap(number(0)?, word(1)?, word(2)?),
        "link" => Step::Link(number(0)?, word(1)?, word(2)?),
        "unlink" => Step::Unlink(number(0)?, word(1)?),
        "rmdir" => Step::Rmdir(number(0)?, word(1)?),
        _ => return None,
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok());
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_refused() {
        assert_eq!(parse("write 7 3 00ff"), Some(Step::Write(7, 3, vec![0, 255])));
        assert_eq!(parse("rename 1 a 2 .b"), Some(Step::Rename(1, "a".into(), 2, ".b".into())));
        assert_eq!(parse("mark put returned"), Some(Step::Mark("put returned".into())));
        for line in ["", "write", "write x 0 00", "write 1 0 0g", "swap 1 a", "eat 1"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
