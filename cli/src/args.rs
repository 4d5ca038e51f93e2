//! `Parsed`: a command line taken apart by the table of `spec`. Arguments need not be UTF-8. It knows nothing of
//! what the commands do, and prints nothing.

use crate::exit::Failed;
use crate::spec::{self, Command, Flag, Group, Operands};
use forebay::{Code, Error, Key};
use std::ffi::OsString;
use std::time::Duration;

/// A command line.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) command: &'static Command,
    values: Vec<(&'static str, OsString)>,
    pub(crate) operands: Vec<OsString>,
    /// The command line to run, for those commands that run one.
    pub(crate) line: Vec<OsString>,
}

/// Takes the arguments behind the program's name apart.
pub(crate) fn parse(all: &[OsString]) -> Result<Parsed, Failed> {
    let mut before = Vec::new();
    let mut rest = all;
    let command = loop {
        let Some((first, tail)) = rest.split_first() else {
            return Err(usage("which command?", None));
        };
        let text = first.to_string_lossy();
        match &*text {
            "-h" | "--help" => {
                rest = tail;
                break named("help")?;
            }
            "-V" | "--version" => {
                rest = tail;
                break named("version")?;
            }
            "--json" => before.push(first.clone()),
            "--root" => {
                let (value, more) = tail.split_first().ok_or_else(|| usage("--root wants a value", None))?;
                before.extend([first.clone(), value.clone()]);
                rest = more;
                continue;
            }
            _ if text.starts_with("--root=") => before.push(first.clone()),
            _ if text.starts_with('-') => {
                return Err(usage(&format!("unknown option {text:?} before the command"), None));
            }
            _ => {
                rest = tail;
                if let Some(group) = spec::group(&text) {
                    return parse_member(group, before, rest);
                }
                break named(&text)?;
            }
        }
        rest = tail;
    };
    parse_command(command, before, rest)
}

/// The rest of a command line behind a group's name.
fn parse_member(group: &Group, before: Vec<OsString>, rest: &[OsString]) -> Result<Parsed, Failed> {
    let second = rest.first().map(|word| word.to_string_lossy());
    match second.as_deref() {
        Some("-h" | "--help") => parse_command(named("help")?, before, &[OsString::from(group.name)]),
        Some(word) if !word.starts_with('-') => {
            parse_command(named(&format!("{} {word}", group.name))?, before, &rest[1..])
        }
        _ => {
            let words: Vec<&str> = group.members().map(|(word, _)| word).collect();
            let what = format!("'{}' wants one of {}", group.name, words.join(", "));
            let hint = format!("see 'forebay help {}'", group.name);
            Err(Error::new(Code::Invalid, what).with_hint(hint).into())
        }
    }
}

fn named(name: &str) -> Result<&'static Command, Failed> {
    spec::find(name).ok_or_else(|| usage(&format!("there is no command {name:?}"), None))
}

/// A command line that cannot be understood.
pub(crate) fn usage(what: &str, command: Option<&Command>) -> Failed {
    let hint = match command {
        Some(command) => format!("see 'forebay help {}'", command.name),
        None => "see 'forebay help'".to_owned(),
    };
    let failed = Failed::from(Error::new(Code::Invalid, what).with_hint(hint));
    match command.map(|command| command.operands) {
        Some(Operands::CommandLine) => failed.status(crate::exit::OURS),
        _ => failed,
    }
}

fn parse_command(
    command: &'static Command,
    before: Vec<OsString>,
    rest: &[OsString],
) -> Result<Parsed, Failed> {
    use lexopt::Arg;
    let takes_line = command.operands.end_in_a_line();
    let end = rest.iter().position(|arg| arg == "--");
    let (ours, line) = match end {
        Some(end) if takes_line => (&rest[..end], rest[end..].to_vec()),
        _ => (rest, Vec::new()),
    };
    let mut parsed = Parsed { command, values: Vec::new(), operands: Vec::new(), line };
    let mut parser = lexopt::Parser::from_args(before.into_iter().chain(ours.iter().cloned()));
    let wrong = |error: &lexopt::Error| usage(&error.to_string(), Some(command));
    while let Some(arg) = parser.next().map_err(|error| wrong(&error))? {
        match arg {
            Arg::Long(name) => {
                let flag = command.flag(name).ok_or_else(|| unknown(&format!("--{name}"), command))?;
                let value = match flag.value {
                    Some(_) => parser.value().map_err(|error| wrong(&error))?,
                    None => OsString::new(),
                };
                parsed.values.push((flag.name, value));
            }
            Arg::Short('h') => parsed.values.push(("help", OsString::new())),
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"), command)),
            Arg::Value(first) if command.operands == Operands::CommandLine => {
                let mut line = vec![first];
                line.extend(parser.raw_args().map_err(|error| wrong(&error))?);
                line.append(&mut parsed.line);
                parsed.line = line;
                return Ok(parsed);
            }
            Arg::Value(operand) => parsed.operands.push(operand),
        }
    }
    if parsed.line.first().is_some_and(|first| first == "--") {
        parsed.line.remove(0);
    }
    parsed.check_count()?;
    Ok(parsed)
}

fn unknown(option: &str, command: &'static Command) -> Failed {
    usage(&format!("'{}' has no option {option}", command.name), Some(command))
}

impl Parsed {
    fn check_count(&self) -> Result<(), Failed> {
        let most = match self.command.operands {
            Operands::None | Operands::CommandLine => 0,
            Operands::UpTo(most) | Operands::UpToThenCommandLine(most) => most,
            Operands::Many | Operands::ManyThenCommandLine => return Ok(()),
        };
        match self.operands.get(most) {
            Some(extra) => Err(self.usage(&format!("{extra:?} is one operand too many"))),
            None => Ok(()),
        }
    }

    /// This command line cannot be understood.
    pub(crate) fn usage(&self, what: &str) -> Failed {
        usage(what, Some(self.command))
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(flag, _)| *flag == name)
    }

    /// The value of an option; of several, the last.
    pub(crate) fn value(&self, name: &str) -> Option<&OsString> {
        self.values.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value)
    }

    /// All values of an option, as given.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsString> {
        self.values.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| value)
    }

    /// The options and the command line again, as arguments for a `forebay` that is to do the same.
    pub(crate) fn again(&self) -> Vec<OsString> {
        let mut out = Vec::new();
        for (name, value) in &self.values {
            let mut argument = OsString::from(format!("--{name}"));
            if self.command.flag(name).is_some_and(|flag| flag.value.is_some()) {
                argument.push("=");
                argument.push(value);
            }
            out.push(argument);
        }
        out.push("--".into());
        out.extend(self.line.iter().cloned());
        out
    }

    /// The value of an option as text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failed> {
        self.value(name)
            .map(|value| {
                value.to_str().ok_or_else(|| self.usage(&format!("the value of --{name} is not UTF-8")))
            })
            .transpose()
    }

    /// The value of an option as a time.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Failed> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let time = forebay::parse_duration(text)
            .map_err(|error| self.usage(&format!("--{name}: {}", error.message())))?;
        Ok(Some(time))
    }

    /// The operands as keys.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, Failed> {
        if self.operands.is_empty() {
            return Err(self.usage("which key?"));
        }
        self.operands.iter().map(|operand| self.key_of(operand)).collect()
    }

    /// The first operand as a key.
    pub(crate) fn key(&self) -> Result<Key, Failed> {
        let operand = self.operands.first().ok_or_else(|| self.usage("which key?"))?;
        self.key_of(operand)
    }

    /// An argument as a key.
    pub(crate) fn key_of(&self, argument: &OsString) -> Result<Key, Failed> {
        let text =
            argument.to_str().ok_or_else(|| self.usage(&format!("the key {argument:?} is not UTF-8")))?;
        Ok(Key::parse(text)?)
    }
}

/// The spelling of an option with its value, for the help.
pub(crate) fn spelling(flag: &Flag) -> String {
    let names = match flag.alias {
        Some(alias) => format!("--{}, --{alias}", flag.name),
        None => format!("--{}", flag.name),
    };
    match flag.value {
        Some(value) => format!("{names} {value}"),
        None => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> Result<Parsed, Failed> {
        parse(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_to_run_begins_at_the_first_operand_or_behind_two_dashes() {
        for line in [
            &["run", "--ttl", "5s", "--", "echo", "--ttl", "--", "x"][..],
            &["run", "--ttl=5s", "echo", "--ttl", "--", "x"],
        ] {
            let parsed = of(line).unwrap();
            assert_eq!(parsed.line, ["echo", "--ttl", "--", "x"]);
            assert_eq!(parsed.duration("ttl").unwrap(), Some(Duration::from_secs(5)));
        }
        assert_eq!(of(&["refresh", "a", "b", "--", "c", "--", "d"]).unwrap().line, ["c", "--", "d"]);
        assert_eq!(of(&["rm", "--", "--odd"]).unwrap().operands, ["--odd"]);
        let parsed = of(&["quota", "resolve", "--ttl", "5s", "n", "--", "c", "--json"]).unwrap();
        assert_eq!((parsed.command.name, parsed.has("json")), ("quota resolve", false));
        assert_eq!(
            (&parsed.operands[..], &parsed.line[..]),
            (&["n".into()][..], &["c".into(), "--json".into()][..])
        );
    }

    #[test]
    fn a_command_line_can_be_passed_on_whole() {
        let line = ["run", "--root=", "--stale", "1h", "--env=A=B", "--cwd", "--", "x", "--", "--y"];
        let first = of(&line).unwrap();
        let mut again = vec![OsString::from("run")];
        again.extend(first.again());
        let second = parse(&again).unwrap();
        assert_eq!((&first.values, &first.line), (&second.values, &second.line));
    }

    #[test]
    fn aliases_mean_the_same_and_the_last_value_counts() {
        let parsed = of(&["run", "--stale", "1h", "--max-stale", "2h", "x"]).unwrap();
        assert_eq!(parsed.duration("max-stale").unwrap(), Some(Duration::from_secs(7200)));
        assert_eq!(of(&["ls"]).unwrap().command.name, "list");
        assert_eq!(of(&["--root", "/r", "ls"]).unwrap().text("root").unwrap(), Some("/r"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_status_2_or_125() {
        for (line, status) in [
            (&["list", "--nope"][..], 2),
            (&["list", "a", "b"], 2),
            (&["nope"], 2),
            (&["quota"], 2),
            (&["quota", "nope"], 2),
            (&["quota", "resolve", "a", "b", "--", "c"], 2),
            (&[], 2),
            (&["get", "--ttl", "5", "k"], 2),
            (&["run", "--nope", "x"], 125),
            (&["run", "--ttl"], 125),
        ] {
            let found = of(line).and_then(|parsed| parsed.duration("ttl").map(|_| 0));
            assert_eq!(found.unwrap_err().exit_status(), status, "{line:?}");
        }
    }
}
