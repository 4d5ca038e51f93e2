//! The table of commands and flags: what exists, under which name, with which help. Parsing, `forebay help`
//! and the shell completions all read this one table, so they cannot disagree. It knows nothing of what the
//! commands do.

pub(crate) use crate::flags::Flag;
use crate::flags::{
    CAP, CREDENTIALS, CWD, DEADLINE, ENV, FALLBACK, FILE, FOR, FORCE, HELP, IDENTITY, INPUT, JOBS, JSON,
    KEEP, KEY, KIND, MAX_STALE, NAME, NAMES, OVERRIDE, QUOTA_MAX_STALE, QUOTA_TTL, REASON, REPORT, RESULT,
    ROOT, RUN_DEADLINE, RUN_MAX_STALE, RUN_TTL, SEEN, STATE, STDIN, TAG, TIER, TIMEOUT, TTL, UPSTREAM,
    VALIDATOR, VERBOSE, WAIT, WORKSPACE,
};

/// What may follow the options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operands {
    /// Nothing.
    None,
    /// At most that many.
    UpTo(usize),
    /// Any number.
    Many,
    /// A command line: all that follows belongs to it, behind `--` or from the first operand on.
    CommandLine,
    /// At most that many, then `--` and a command line.
    UpToThenCommandLine(usize),
    /// Any number, then `--` and a command line.
    ManyThenCommandLine,
}

impl Operands {
    /// Whether `--` begins a command line.
    pub(crate) fn end_in_a_line(self) -> bool {
        match self {
            Operands::CommandLine | Operands::UpToThenCommandLine(_) | Operands::ManyThenCommandLine => true,
            Operands::None | Operands::UpTo(_) | Operands::Many => false,
        }
    }
}

/// Commands whose names are two words: this one, then their own.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
}

/// A command of `forebay`.
#[derive(Debug)]
pub(crate) struct Command {
    /// One word, or a group's and its own.
    pub(crate) name: &'static str,
    pub(crate) alias: Option<&'static str>,
    pub(crate) synopsis: &'static str,
    pub(crate) about: &'static str,
    /// Further paragraphs of its help.
    pub(crate) more: &'static str,
    pub(crate) flags: &'static [&'static Flag],
    pub(crate) operands: Operands,
    /// Not shown: it is there for ourselves.
    pub(crate) hidden: bool,
}

const RUN_FLAGS: &[&Flag] = &[
    &RUN_TTL,
    &RUN_MAX_STALE,
    &WAIT,
    &RUN_DEADLINE,
    &NAME,
    &TIER,
    &KEY,
    &ENV,
    &CWD,
    &FILE,
    &INPUT,
    &WORKSPACE,
    &FORCE,
    &VERBOSE,
    &ROOT,
    &HELP,
];

const DETACHED_FLAGS: &[&Flag] = &[
    &REPORT,
    &RUN_TTL,
    &RUN_MAX_STALE,
    &WAIT,
    &RUN_DEADLINE,
    &NAME,
    &TIER,
    &KEY,
    &ENV,
    &CWD,
    &FILE,
    &FORCE,
    &VERBOSE,
    &ROOT,
    &HELP,
];

const RESOLVE: &str = "\
A fresh answer is printed at once. Else one process of all runs COMMAND, and while a failure cools down none does;\n\
then an answer that may be served is printed, or what the command of --fallback prints. The data is JSON, printed in\n\
one line; with --json also how it was had, its age, and when the next attempt may be made.\n\
\n\
COMMAND prints the data, or a whole HTTP response (curl -i, gh api -i), whose status, Retry-After and ETag count.\n\
Its exit status otherwise: 0 that was the data; 75 unavailable; 77 unauthorized; 124 timed out; other failed.\n\
It gets the credential on standard input, and FOREBAY_NAME, FOREBAY_DEADLINE_MS and FOREBAY_VALIDATOR.\n\
\n\
Exit status: 0 there is an answer; 3 rate limited or gated; 4 timed out; 5 it failed.";

const ROTATE: &str = "\
COMMAND exchanges the credential: the old one is on its standard input (at first nothing), the new one is what it\n\
prints, or the body of the HTTP response that it prints (curl -i). Exactly one process of all runs it: where nothing\n\
is stored, or where what is stored is still the version that --seen names, the one that did not work. Else what is\n\
stored is printed; --json prints its version too.\n\
\n\
An exchange that the server refused (4xx; exit status 77) or that was not sent (75) changes nothing. Any other failure\n\
leaves open whether the old credential was used up: then no exchange runs any more until a new login and\n\
'forebay rotate-reset'. While COMMAND runs, the first signal waits for its end; a second one is passed on.\n\
\n\
Exit status: 0; 1 nothing is stored, but --seen was given; 3 gated; 5 it failed, or is open; 6 the store failed.";

const RUN: &str = "\
The key is a hash of the arguments and of what --env, --cwd and --file name; the arguments themselves are not\n\
stored. With --key it is the key given, and whoever names it has to know that it is this output.\n\
Among all shells the command runs once, and the others wait for its output. Only an output with exit status 0 is\n\
stored. The command's standard input is /dev/null. While a failure cools down the command does not run, and the\n\
failure's exit status is repeated; --force runs it all the same.\n\
Without --max-stale an old output is not served; with --wait alone it may be of any age.\n\
\n\
With --input the output holds while everything named so is as it was, however old it is: a file's content, the names\n\
in DIR/, the files that a pattern ('src/**/*.rs') matches, absent:PATH, stat:PATH, env:VAR, source:KEY, tag:NAME. The\n\
names of the inputs, the current folder and the workspace are part of the key; a failure does not cool down;\n\
--max-stale and --wait are refused. 'forebay live ls' shows what is kept, under the kind run, or run/N with --name N.\n\
\n\
Exit status: the command's own, also for those who waited for a run in another shell; 128 + N when it was\n\
killed by signal N; 124 when the deadline or --wait was over; 125 when forebay failed; 126 when the command\n\
cannot be executed; 127 when it was not found.";

const LIVE_INVALIDATE: &str = "\
PATH is a file, or a folder: what was computed from it, or from anything in it, is removed, and all that is built on\n\
that. One line for each says how many results were computed from it, or have the tag, or were built on the result.\n\
A KEY is 64 hex digits, or the first of them, at least 4, if but one result begins so. Exit status 1 if there is no\n\
result with the key of --key.";

const LIVE_WHY: &str = "\
It looks at every input, of every result that this one is built on too, and removes nothing. KEY is 64 hex digits, or\n\
the first of them, at least 4, if but one result begins so. The workspace has to be that of whoever computed it.\n\
Exit status 1 if it does not hold, or is not there.";

const LIVE_GC: &str = "\
It looks at what is recorded, not at the inputs: what nobody has found changed stays. With --cap the least recently\n\
used results go until the others have at most that many bytes (1048576, 512KiB, 500MiB, 2GiB).";

/// The groups, each at the place of its first command.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "live", about: "results that hold while what they were computed from is as it was" },
    Group { name: "quota", about: "the last answer of a rate-limited server, and a gate for all processes" },
];

/// All commands, in the order of the help.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        alias: None,
        synopsis: "run [OPTION…] [--] COMMAND [ARGUMENT…]",
        about: "print a command's output, from the cache if it is fresh",
        more: RUN,
        flags: RUN_FLAGS,
        operands: Operands::CommandLine,
        hidden: false,
    },
    Command {
        name: "get",
        alias: None,
        synopsis: "get [OPTION…] KEY",
        about: "print the value of a key",
        more: "Stale values are printed too; expired ones are not (exit status 1).",
        flags: &[&TTL, &MAX_STALE, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "put",
        alias: None,
        synopsis: "put [OPTION…] KEY [FILE]",
        about: "store a value, from a file or standard input",
        more: "It always wins: what a refresh in flight brings later is not stored.",
        flags: &[&TTL, &MAX_STALE, &VALIDATOR, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(2),
        hidden: false,
    },
    Command {
        name: "state",
        alias: None,
        synopsis: "state [OPTION…] KEY",
        about: "show the state of a value and of its refresh",
        more: "",
        flags: &[&TTL, &MAX_STALE, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "list",
        alias: Some("ls"),
        synopsis: "list [OPTION…] [PREFIX]",
        about: "list what is there: NAME STATE AGE SIZE REFRESH",
        more: "",
        flags: &[&JSON, &NAMES, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "why",
        alias: None,
        synopsis: "why [OPTION…] KEY",
        about: "say which fact decides about a value, and give it as a Cache-Status line (RFC 9211)",
        more: "",
        flags: &[&TTL, &MAX_STALE, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "refresh",
        alias: None,
        synopsis: "refresh [OPTION…] KEY… -- COMMAND [ARGUMENT…]",
        about: "make a new value from a command's output, now, and join a refresh in flight",
        more: "\
The command sees FOREBAY_KEY, FOREBAY_TIER, FOREBAY_NAME, and FOREBAY_VALIDATOR where there is one. With several\n\
keys it runs once for each.",
        flags: &[&TTL, &MAX_STALE, &DEADLINE, &JOBS, &OVERRIDE, &JSON, &ROOT, &HELP],
        operands: Operands::ManyThenCommandLine,
        hidden: false,
    },
    Command {
        name: "mark-stale",
        alias: None,
        synopsis: "mark-stale [OPTION…] KEY…",
        about: "keep the value, and have it refreshed",
        more: "",
        flags: &[&ROOT, &HELP],
        operands: Operands::Many,
        hidden: false,
    },
    Command {
        name: "remove",
        alias: Some("rm"),
        synopsis: "remove [OPTION…] KEY…",
        about: "delete values, and what is known of them",
        more: "Exit status 1 if there was nothing under one of the keys.",
        flags: &[&JSON, &ROOT, &HELP],
        operands: Operands::Many,
        hidden: false,
    },
    Command {
        name: "prune",
        alias: None,
        synopsis: "prune [OPTION…] --keep KEY…",
        about: "delete everything but the keys named, and sweep what dead processes left",
        more: "Keys with a refresh in flight are skipped, and said so.",
        flags: &[&KEEP, &JSON, &ROOT, &HELP],
        operands: Operands::Many,
        hidden: false,
    },
    Command {
        name: "live ls",
        alias: None,
        synopsis: "live ls [OPTION…]",
        about: "list the derived results: KEY KIND SIZE AGE USED INPUTS",
        more: "The whole keys are in --names and --json; 16 digits of them do wherever a KEY is wanted.",
        flags: &[&KIND, &NAMES, &JSON, &ROOT, &HELP],
        operands: Operands::None,
        hidden: false,
    },
    Command {
        name: "live why",
        alias: None,
        synopsis: "live why [OPTION…] KEY",
        about: "say whether a derived result holds, and which input or result decides that",
        more: LIVE_WHY,
        flags: &[&WORKSPACE, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "live invalidate",
        alias: None,
        synopsis: "live invalidate [OPTION…] [PATH…]",
        about: "end the derived results of a path, a tag, a key or an upstream",
        more: LIVE_INVALIDATE,
        flags: &[&TAG, &RESULT, &UPSTREAM, &WORKSPACE, &JSON, &ROOT, &HELP],
        operands: Operands::Many,
        hidden: false,
    },
    Command {
        name: "live gc",
        alias: None,
        synopsis: "live gc [OPTION…]",
        about: "remove derived results that do not hold any more, and files that nothing names",
        more: LIVE_GC,
        flags: &[&CAP, &JSON, &ROOT, &HELP],
        operands: Operands::None,
        hidden: false,
    },
    Command {
        name: "live stats",
        alias: None,
        synopsis: "live stats [OPTION…]",
        about: "say how many derived results there are, of which kinds, and how many bytes they have",
        more: "",
        flags: &[&JSON, &ROOT, &HELP],
        operands: Operands::None,
        hidden: false,
    },
    Command {
        name: "quota resolve",
        alias: None,
        synopsis: "quota resolve [OPTION…] NAME -- COMMAND [ARGUMENT…]",
        about: "print a rate-limited server's answer: the recorded one, or COMMAND's",
        more: RESOLVE,
        flags: &[
            &IDENTITY,
            &QUOTA_TTL,
            &QUOTA_MAX_STALE,
            &TIMEOUT,
            &CREDENTIALS,
            &FALLBACK,
            &VERBOSE,
            &JSON,
            &ROOT,
            &HELP,
        ],
        operands: Operands::UpToThenCommandLine(1),
        hidden: false,
    },
    Command {
        name: "quota show",
        alias: None,
        synopsis: "quota show [OPTION…] [NAME]",
        about: "show what is recorded of a quota, or list all: NAME STATE AGE SIZE REFRESH",
        more: "Exit status 1 if nothing is recorded; 3 if nothing is, and a gate bars the next attempt.",
        flags: &[&IDENTITY, &QUOTA_TTL, &QUOTA_MAX_STALE, &NAMES, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "quota block",
        alias: None,
        synopsis: "quota block [OPTION…] --for TIME NAME",
        about: "keep every process from asking the server for a while",
        more: "A gate that ends later stays as it is. 'forebay quota clear' takes it away.",
        flags: &[&FOR, &REASON, &IDENTITY, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "quota clear",
        alias: None,
        synopsis: "quota clear [OPTION…] NAME",
        about: "forget a quota's answer and its gate",
        more: "Exit status 1 if there was nothing.",
        flags: &[&IDENTITY, &JSON, &ROOT, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "rotate",
        alias: None,
        synopsis: "rotate [OPTION…] KEY -- COMMAND [ARGUMENT…]",
        about: "print a single-use credential, exchanged by one process for all",
        more: ROTATE,
        flags: &[&SEEN, &DEADLINE, &STATE, &JSON, &HELP],
        operands: Operands::UpToThenCommandLine(1),
        hidden: false,
    },
    Command {
        name: "rotate-reset",
        alias: None,
        synopsis: "rotate-reset [OPTION…] KEY",
        about: "store a credential after a new login, or forget it",
        more: "\
It ends an open exchange and its gate. With --stdin the credential is what standard input brings, without the line\n\
end; else there is none any more.",
        flags: &[&STDIN, &STATE, &JSON, &HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "completions",
        alias: None,
        synopsis: "completions bash|zsh|fish",
        about: "print the completions for a shell",
        more: "For example: source <(forebay completions bash)",
        flags: &[&HELP],
        operands: Operands::UpTo(1),
        hidden: false,
    },
    Command {
        name: "version",
        alias: None,
        synopsis: "version [--json]",
        about: "print the version",
        more: "",
        flags: &[&JSON, &HELP],
        operands: Operands::None,
        hidden: false,
    },
    Command {
        name: "help",
        alias: None,
        synopsis: "help [COMMAND]",
        about: "explain a command",
        more: "",
        flags: &[&HELP],
        operands: Operands::UpTo(2),
        hidden: false,
    },
    Command {
        name: DETACHED,
        alias: None,
        synopsis: "",
        about: "",
        more: "",
        flags: DETACHED_FLAGS,
        operands: Operands::CommandLine,
        hidden: true,
    },
];

/// `run`, in the process that refreshes behind a stale output.
pub(crate) const DETACHED: &str = "run-detached";

/// The group with that name.
pub(crate) fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

impl Group {
    /// Its commands, with the second words of their names.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, &'static Command)> {
        COMMANDS
            .iter()
            .filter_map(|command| Some((command.name.strip_prefix(self.name)?.strip_prefix(' ')?, command)))
    }
}

/// The command with that name or alias.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name || command.alias == Some(name))
}

impl Command {
    /// The option with that name or alias.
    pub(crate) fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().copied().find(|flag| flag.name == name || flag.alias == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_each_has_its_help() {
        for (index, command) in COMMANDS.iter().enumerate() {
            let found = find(command.name).map(|found| found.name);
            assert_eq!(found, Some(COMMANDS[index].name));
            assert!(command.hidden || !command.about.is_empty(), "{}", command.name);
            assert!(command.flag("help").is_some(), "{}", command.name);
            for flag in command.flags {
                assert!(!flag.help.is_empty());
                assert_eq!(command.flags.iter().filter(|other| other.name == flag.name).count(), 1);
            }
        }
    }
}
