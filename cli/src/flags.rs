//! `Flag`: the options of the command line, each written down once with its help. Which command takes which is
//! `spec`'s; what they do is not known here.

/// A long option.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    /// Another spelling of the same.
    pub(crate) alias: Option<&'static str>,
    /// What its value is called in the help; none: it takes no value.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
}

const fn value(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, alias: None, value: Some(value), help }
}

const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, alias: None, value: None, help }
}

pub(crate) const ROOT: Flag =
    value("root", "DIR", "the cache folder (else FOREBAY_ROOT, else ~/.cache/forebay)");
pub(crate) const HELP: Flag = switch("help", "this text");
pub(crate) const JSON: Flag = switch("json", "print JSON");
pub(crate) const TTL: Flag = value("ttl", "TIME", "fresh while younger than this, such as 90s or 1h30m");
pub(crate) const MAX_STALE: Flag = Flag {
    name: "max-stale",
    alias: Some("stale"),
    value: Some("TIME"),
    help: "may be served for this long after that",
};
pub(crate) const RUN_TTL: Flag =
    value("ttl", "TIME", "fresh while younger than this (60s; with --input without end)");
pub(crate) const RUN_MAX_STALE: Flag = Flag {
    name: "max-stale",
    alias: Some("stale"),
    value: Some("TIME"),
    help: "for this long after that, serve the old output at once and refresh behind it (0s)",
};
pub(crate) const DEADLINE: Flag = value("deadline", "TIME", "end the command after this long (30s)");
pub(crate) const RUN_DEADLINE: Flag =
    value("deadline", "TIME", "end the command after this long (30s; with --input 10m)");
pub(crate) const WAIT: Flag =
    value("wait", "TIME", "wait at most this long for a new output, then serve the old one");
pub(crate) const TIER: Flag = value("tier", "T", "the first half of the key (run)");
pub(crate) const NAME: Flag = value("name", "N", "a readable name for the key, before the hash");
pub(crate) const KEY: Flag =
    value("key", "TIER/NAME", "exactly this key, which programs may share: no hash of anything");
pub(crate) const ENV: Flag =
    value("env", "VAR", "the output depends on this environment variable; may be repeated");
pub(crate) const CWD: Flag = switch("cwd", "the output depends on the current folder");
pub(crate) const FILE: Flag =
    value("file", "PATH", "the output depends on the content of this file; may be repeated");
pub(crate) const FORCE: Flag = switch("force", "run it now, whatever the age of what is there");
pub(crate) const VERBOSE: Flag = switch("verbose", "say on standard error where the output came from");
pub(crate) const VALIDATOR: Flag =
    value("validator", "TEXT", "what identifies this version, such as an ETag");
pub(crate) const KEEP: Flag =
    value("keep", "KEY", "a key to keep; may be repeated, and more may follow as operands");
pub(crate) const NAMES: Flag = switch("names", "print the keys alone, one in a line");
pub(crate) const JOBS: Flag = value("jobs", "N", "refresh this many keys at once (4)");
pub(crate) const OVERRIDE: Flag =
    switch("override", "try although the server said when the next attempt may be made");
pub(crate) const IDENTITY: Flag =
    value("identity", "I", "whose account it is: another one has another answer and gate");
pub(crate) const QUOTA_TTL: Flag = value("ttl", "TIME", "an answer is fresh while younger than this (3m)");
pub(crate) const QUOTA_MAX_STALE: Flag = Flag {
    name: "max-stale",
    alias: Some("stale"),
    value: Some("TIME"),
    help: "it may be served for this long after that (24h)",
};
pub(crate) const TIMEOUT: Flag = value("timeout", "TIME", "end each command after this long (2s)");
pub(crate) const CREDENTIALS: Flag = value(
    "credentials",
    "CMD",
    "shell command that prints the credential, which COMMAND gets on standard input",
);
pub(crate) const FALLBACK: Flag =
    value("fallback", "CMD", "shell command that prints JSON where there is no answer");
pub(crate) const FOR: Flag = value("for", "TIME", "for this long, at most 24h");
pub(crate) const REASON: Flag = value("reason", "TEXT", "why; no secrets");
pub(crate) const SEEN: Flag =
    value("seen", "VERSION", "exchange the credential only if it is still this version");
pub(crate) const STDIN: Flag = switch("stdin", "store the credential that standard input brings");
pub(crate) const STATE: Flag =
    value("state", "DIR", "the state folder (else FOREBAY_STATE, else ~/.local/state/forebay)");

pub(crate) const REPORT: Flag = switch("report", "write one line about the outcome to standard output");
pub(crate) const INPUT: Flag = value(
    "input",
    "PATH",
    "the output holds while this is as it was: file, DIR/, pattern, env:VAR; may be repeated",
);
pub(crate) const WORKSPACE: Flag =
    value("workspace", "DIR", "the folder that inputs are relative to (the current one)");
pub(crate) const KIND: Flag = value("kind", "K", "only results of this kind");
pub(crate) const TAG: Flag = value("tag", "NAME", "what has this tag as an input; may be repeated");
pub(crate) const RESULT: Flag =
    value("key", "KEY", "this result, and all that is built on it; may be repeated");
pub(crate) const UPSTREAM: Flag =
    value("upstream", "KEY", "all that is built on this result, which stays; may be repeated");
pub(crate) const CAP: Flag =
    value("cap", "SIZE", "then remove the least recently used, until all have at most this, such as 500MiB");
