//! docs/command.md says what is so: its examples are run, and it names every option.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, finish, start};
use std::time::Duration;

const PAGE: &str = include_str!("../../docs/command.md");

/// One command of a `console` block, and what it is to print.
struct Example {
    /// The clock moves by that much before it.
    later: Duration,
    command: String,
    output: Vec<String>,
}

fn examples() -> Vec<Example> {
    let mut out: Vec<Example> = Vec::new();
    let mut later = Duration::ZERO;
    for block in PAGE.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let seconds = comment.strip_suffix(" seconds later").unwrap().parse().unwrap();
                later += Duration::from_secs(seconds);
            } else if let Some(command) = line.strip_prefix("$ ") {
                out.push(Example { later, command: command.to_owned(), output: Vec::new() });
                later = Duration::ZERO;
            } else {
                out.last_mut().unwrap().output.push(line.to_owned());
            }
        }
    }
    out
}

/// Whether a line is as expected, where `…` stands for anything.
fn matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn every_example_prints_what_the_page_says() {
    let shell = Shell::new();
    let examples = examples();
    assert!(examples.len() > 25, "{}", examples.len());
    for example in examples {
        shell.advance(example.later);
        let script = format!("exec 2>&1; {}", example.command);
        let ran = finish(start(&mut shell.sh(&script)));
        let mut output: Vec<String> = ran.text().lines().map(str::to_owned).collect();
        if ran.code() != 0 {
            output.push(format!("[exit status {}]", ran.code()));
        }
        let same = output.len() == example.output.len()
            && example.output.iter().zip(&output).all(|(expected, line)| matches(expected, line));
        assert!(
            same,
            "$ {}\nprinted:\n{}\nnot:\n{}",
            example.command,
            output.join("\n"),
            example.output.join("\n")
        );
    }
}

#[test]
fn the_page_names_every_command_and_option() {
    let shell = Shell::new();
    let overview = shell.run(["help"]).ok();
    let commands = overview.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    for command in commands {
        let mut words = command.split_whitespace();
        let first = words.next().unwrap().trim_end_matches(',');
        let name = if ["live", "quota"].contains(&first) {
            format!("{first} {}", words.next().unwrap())
        } else {
            first.to_owned()
        };
        assert!(PAGE.contains(&format!("forebay {name}")), "{name}");
        let help = shell.run(["help"].into_iter().chain(name.split(' '))).ok();
        assert!(name == "help" || help.starts_with(&format!("forebay {name}: ")), "{help}");
        let options = help.split("\nOptions:\n").nth(1).unwrap_or("");
        for option in
            options.lines().flat_map(|line| line.split_whitespace().filter(|word| word.starts_with("--")))
        {
            assert!(PAGE.contains(option.trim_end_matches(',')), "{name} {option}");
        }
    }
}

#[test]
fn the_comparison_of_lines_is_strict() {
    for (expected, line, same) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "abc", true),
        ("…c", "abc", true),
        ("a…c", "abd", false),
        ("a…b…c", "a-b-c", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(expected, line), same, "{expected} {line}");
    }
}
