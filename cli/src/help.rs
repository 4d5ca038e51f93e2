//! The text of `forebay help`, made from the table of `spec`.

use crate::args::spelling;
use crate::spec::{COMMANDS, Command, Group};
use std::fmt::Write;

const OPENING: &str = "\
forebay: an on-disk cache that all shells and programs of one user share.

    forebay run --ttl 60s --max-stale 1h -- gh api rate_limit

runs the command once, and gives its output to whoever asks within a minute; for an hour after that the old
output is printed at once while one process refreshes it.

Usage: forebay [--root DIR] COMMAND …
";

const CLOSING: &str = "
Times are written 250ms, 90s, 1h30m, 7d. A key is tier/name; without a tier it is default/name.
Environment: FOREBAY_ROOT (the cache folder), FOREBAY_STATE (the folder of rotated credentials), NO_COLOR.
Exit status: 0; 1 absent; 2 usage; 3 gated; 4 timed out; 5 refresh failed; 6 the store failed.
'run' has the command's own: see 'forebay help run'.
";

/// The overview of all commands.
pub(crate) fn overview() -> String {
    let mut out = format!("{OPENING}\nCommands:\n");
    for command in COMMANDS.iter().filter(|command| !command.hidden) {
        let name = match command.alias {
            Some(alias) => format!("{}, {alias}", command.name),
            None => command.name.to_owned(),
        };
        let _ = writeln!(out, "  {name:<17}{}", command.about);
    }
    out.push_str(CLOSING);
    out
}

/// The help of a group of commands.
pub(crate) fn of_group(group: &Group) -> String {
    let mut out = format!("forebay {}: {}\n\nCommands:\n", group.name, group.about);
    for (_, command) in group.members() {
        let _ = writeln!(out, "  {:<17}{}", command.name, command.about);
    }
    let _ = writeln!(out, "\nSee 'forebay help {} COMMAND'.", group.name);
    out
}

/// The help of one command.
pub(crate) fn of(command: &Command) -> String {
    let mut out = format!("forebay {}: {}\n\n", command.name, command.about);
    let _ = writeln!(out, "Usage: forebay {}", command.synopsis);
    if let Some(alias) = command.alias {
        let _ = writeln!(out, "   or: forebay {alias} …");
    }
    if !command.more.is_empty() {
        let _ = writeln!(out, "\n{}", command.more);
    }
    out.push_str("\nOptions:\n");
    for flag in command.flags {
        let _ = writeln!(out, "  {:<28}{}", spelling(flag), flag.help);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_names_every_command_and_no_hidden_one() {
        let text = overview();
        for command in COMMANDS {
            assert_eq!(text.contains(&format!("\n  {}", command.name)), !command.hidden, "{}", command.name);
            assert!(text.lines().chain(of(command).lines()).all(|line| line.chars().count() <= 120));
        }
    }
}
