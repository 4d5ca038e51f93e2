//! `Progress`: a bar on standard error for work that takes long, drawn only where a terminal shows it. It is a few
//! lines of our own because a bar is all that is needed: the usual crate would be most of the program.

use crate::out;

/// How wide the bar is.
const WIDTH: usize = 24;

/// A bar that goes away when dropped.
pub(crate) struct Progress {
    doing: &'static str,
    done: usize,
    total: usize,
    shown: bool,
}

impl Progress {
    /// A bar for that many steps; 0: nobody knows how many.
    pub(crate) fn new(doing: &'static str, total: usize) -> Progress {
        let progress = Progress { doing, done: 0, total, shown: total != 1 && out::watched() };
        progress.draw("");
        progress
    }

    /// One more step is done.
    pub(crate) fn step(&mut self, what: &str) {
        self.at(self.done + 1, what);
    }

    /// That many steps are done.
    pub(crate) fn at(&mut self, done: usize, what: &str) {
        self.done = done;
        self.draw(what);
    }

    fn draw(&self, what: &str) {
        if self.shown {
            out::raw_error(format!("\r\x1b[K{}", bar(self.doing, self.done, self.total, what)).as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            out::raw_error(b"\r\x1b[K");
        }
    }
}

fn bar(doing: &str, done: usize, total: usize, what: &str) -> String {
    if total == 0 {
        return format!("{doing} …");
    }
    let full = WIDTH * done.min(total) / total;
    let what: String = what.chars().filter(|letter| !letter.is_control()).take(40).collect();
    format!("{doing} [{}{}] {done}/{total} {what}", "#".repeat(full), ".".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar("removing", 0, 2, ""), format!("removing [{}] 0/2 ", ".".repeat(24)));
        assert_eq!(
            bar("removing", 1, 2, "a"),
            format!("removing [{}{}] 1/2 a", "#".repeat(12), ".".repeat(12))
        );
        assert_eq!(bar("removing", 3, 2, "a\x1b"), format!("removing [{}] 3/2 a", "#".repeat(24)));
        assert_eq!(bar("pruning", 0, 0, ""), "pruning …");
    }
}
