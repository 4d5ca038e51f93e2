//! Help, version, completions and what is said about a command line that cannot be understood.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, finish, start};

#[test]
fn help_explains_every_command() {
    let shell = Shell::new();
    let overview = shell.run(["help"]).ok();
    assert_eq!(shell.run(["--help"]).ok(), overview);
    assert_eq!(shell.run(["-h"]).ok(), overview);
    let commands = [
        "run",
        "get",
        "put",
        "state",
        "list",
        "why",
        "refresh",
        "mark-stale",
        "remove",
        "prune",
        "live ls",
        "live why",
        "live invalidate",
        "live gc",
        "live stats",
        "quota resolve",
        "quota show",
        "quota block",
        "quota clear",
        "rotate",
        "rotate-reset",
        "version",
    ];
    for command in commands {
        assert!(overview.contains(&format!("\n  {command}")), "{command}");
        let text = shell.run(["help"].into_iter().chain(command.split(' '))).ok();
        assert!(text.starts_with(&format!("forebay {command}: ")), "{text}");
        assert_eq!(shell.run(command.split(' ').chain(["--help"])).ok(), text);
    }
    assert!(shell.run(["help", "live"]).ok().contains("\n  live invalidate  end"));
    let group = shell.run(["help", "quota"]).ok();
    assert!(group.contains("\n  quota show") && !group.contains("rotate"), "{group}");
    assert_eq!(shell.run(["quota", "--help"]).ok(), group);
    assert!(shell.run(["help", "ls"]).ok().starts_with("forebay list: "));
    assert!(!overview.contains("detached"));
}

#[test]
fn version_is_that_of_the_package() {
    let shell = Shell::new();
    let expected = format!("forebay {}\n", env!("CARGO_PKG_VERSION"));
    for line in [&["version"][..], &["--version"], &["-V"]] {
        assert_eq!(shell.run(line).ok(), expected);
    }
    assert_eq!(shell.run(["version", "--json"]).json()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_cannot_be_understood_is_told_in_one_line() {
    let shell = Shell::new();
    for (line, told) in [
        (&[][..], "which command?; see 'forebay help'"),
        (&["frobnicate"], "there is no command \"frobnicate\"; see 'forebay help'"),
        (&["list", "--frob"], "'list' has no option --frob; see 'forebay help list'"),
        (&["list", "-x"], "'list' has no option -x; see 'forebay help list'"),
        (&["get"], "which key?; see 'forebay help get'"),
        (&["get", "a", "b"], "\"b\" is one operand too many; see 'forebay help get'"),
        (&["remove"], "which key?; see 'forebay help remove'"),
        (&["get", "/x"], "the tier of the key is empty; a key is tier/name, such as api/models"),
        (&["refresh", "a/b"], "which command? give it behind --; see 'forebay help refresh'"),
        (
            &["refresh", "--jobs", "0", "a/b", "--", "true"],
            "--jobs wants a number from 1 to 64; see 'forebay help refresh'",
        ),
        (
            &["completions", "tcsh"],
            "for which shell? there are completions for bash, zsh and fish; see 'forebay help completions'",
        ),
        (&["--root", "", "list"], "--root is empty; see 'forebay help list'"),
        (&["live"], "'live' wants one of ls, why, invalidate, gc, stats; see 'forebay help live'"),
        (&["live", "ls", "x"], "\"x\" is one operand too many; see 'forebay help live ls'"),
        (&["live", "why"], "which key?; see 'forebay help live why'"),
        (&["quota"], "'quota' wants one of resolve, show, block, clear; see 'forebay help quota'"),
        (&["quota", "frob"], "there is no command \"quota frob\"; see 'forebay help'"),
        (&["quota", "clear"], "which quota?; see 'forebay help quota clear'"),
        (
            &["quota", "resolve", "usage"],
            "which command? give it behind --; see 'forebay help quota resolve'",
        ),
        (
            &["quota", "resolve", "--timeout", "0s", "usage", "--", "true"],
            "--timeout wants a time of more than 0 and at most 24 h; see 'forebay help quota resolve'",
        ),
        (
            &["quota", "resolve", "a", "b", "--", "true"],
            "\"b\" is one operand too many; see 'forebay help quota resolve'",
        ),
        (&["quota", "block", "usage"], "for how long? give --for TIME; see 'forebay help quota block'"),
        (&["quota", "show", "--identity", "", "usage"], "--identity is empty; see 'forebay help quota show'"),
        (
            &["quota", "show", "--identity", "me"],
            "which quota? --identity is of one; see 'forebay help quota show'",
        ),
        (&["rotate", "--", "true"], "which credential?; see 'forebay help rotate'"),
        (&["rotate", "api"], "which command? give it behind --; see 'forebay help rotate'"),
        (
            &["rotate", "--seen", "x", "api", "--", "true"],
            "--seen wants a version, as --json printed it; see 'forebay help rotate'",
        ),
        (&["rotate-reset", "--state=", "api"], "--state is empty; see 'forebay help rotate-reset'"),
    ] {
        let ran = shell.run(line);
        assert_eq!((ran.code(), &*ran.text()), (2, ""), "{line:?}");
        assert_eq!(ran.errors(), format!("forebay: {told}\n"), "{line:?}");
    }
    let bare = shell.run(["get", "--ttl", "90", "a/b"]);
    assert_eq!(bare.code(), 2);
    assert!(bare.errors().starts_with("forebay: --ttl: "), "{}", bare.errors());
}

#[test]
fn json_errors_are_json_on_standard_error() {
    let shell = Shell::new();
    let ran = shell.run(["get", "--json", "--ttl", "90", "a/b"]);
    assert_eq!((ran.code(), &*ran.text()), (2, ""));
    let told: serde_json::Value = serde_json::from_str(&ran.errors()).unwrap();
    assert_eq!(
        (&told["error"]["code"], &told["status"], &told["key"]),
        (&"invalid".into(), &2.into(), &serde_json::Value::Null)
    );
    std::fs::write(shell.path("file"), "").unwrap();
    let ran = shell.run(["list", "--json", "--root", "file"]);
    assert_eq!(ran.code(), 6);
    let told: serde_json::Value = serde_json::from_str(&ran.errors()).unwrap();
    assert!(told["error"]["path"].as_str().unwrap().ends_with("file"), "{told}");
}

#[test]
fn the_root_is_the_options_else_the_environments_else_the_users() {
    let shell = Shell::new();
    let run = |line: &[&str], variables: &[(&str, &str)]| {
        let mut command = shell.forebay(line);
        command.env_remove("FOREBAY_ROOT").env_remove("XDG_CACHE_HOME").env_remove("HOME");
        command.envs(variables.iter().map(|(name, value)| (name, shell.path(value))));
        finish(start(&mut command))
    };
    let all = [("FOREBAY_ROOT", "environment"), ("XDG_CACHE_HOME", "xdg"), ("HOME", "home")];
    let option = shell.path("option").display().to_string();
    run(&["run", "--root", &option, "true"], &all).ok();
    run(&["--root", &option, "run", "true"], &all).ok();
    run(&["run", "true"], &all).ok();
    run(&["run", "true"], &all[1..]).ok();
    run(&["run", "true"], &all[2..]).ok();
    for root in ["option", "environment", "xdg/forebay", "home/.cache/forebay"] {
        assert!(shell.path(root).join("run").is_dir(), "{root}");
    }
    let none = run(&["list"], &[]);
    assert_ne!(none.code(), 0);
    assert!(none.errors().contains("FOREBAY_ROOT"), "{}", none.errors());
}

/// Sources the completions in bash, and asks for those of a line.
fn completed(shell: &Shell, words: &[&str]) -> Vec<String> {
    let script = format!(
        "eval \"$(forebay completions bash)\"; COMP_WORDS=({}); COMP_CWORD={}; _forebay; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1,
    );
    let ran = finish(start(shell.sh("exec bash -c \"$SCRIPT\"").env("SCRIPT", script)));
    ran.ok().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_keys_and_quotas() {
    let shell = Shell::new();
    shell.run(["refresh", "api/models", "--", "true"]).ok();
    assert_eq!(completed(&shell, &["forebay", "re"]), ["refresh", "remove"]);
    assert_eq!(completed(&shell, &["forebay", "run", "--max"]), ["--max-stale"]);
    assert_eq!(completed(&shell, &["forebay", "get", "api/"]), ["api/models"]);
    assert_eq!(completed(&shell, &["forebay", "completions", "f"]), ["fish"]);
    assert_eq!(completed(&shell, &["forebay", "ro"]), ["rotate", "rotate-reset"]);
    assert_eq!(completed(&shell, &["forebay", "qu"]), ["quota"]);
    assert_eq!(completed(&shell, &["forebay", "quota", ""]), ["resolve", "show", "block", "clear"]);
    shell.run(["quota", "block", "--for", "1h", "usage"]).ok();
    assert_eq!(completed(&shell, &["forebay", "quota", "clear", "u"]), ["usage"]);
    assert_eq!(completed(&shell, &["forebay", "quota", "resolve", "--cred"]), ["--credentials"]);
    assert_eq!(completed(&shell, &["forebay", "live", "i"]), ["invalidate"]);
    assert_eq!(completed(&shell, &["forebay", "run", "--in"]), ["--input"]);
    shell.run(["run", "--input", "a", "true"]).ok();
    let keys: Vec<String> = shell.run(["live", "ls", "--names"]).ok().lines().map(str::to_owned).collect();
    assert_eq!((completed(&shell, &["forebay", "live", "why", ""]), keys.len()), (keys, 1));
    let commands = completed(&shell, &["forebay", "quota", "resolve", "usage", "--", "fals"]);
    assert!(commands.iter().any(|command| command == "false"), "{commands:?}");
}

#[test]
fn the_other_shells_have_completions_too() {
    let shell = Shell::new();
    assert!(shell.run(["completions", "zsh"]).ok().starts_with("#compdef forebay\n"));
    let fish = shell.run(["completions", "fish"]).ok();
    assert!(fish.lines().all(|line| line.starts_with("complete -c forebay ")), "{fish}");
    assert!(fish.contains("-l max-stale -r"), "{fish}");
    assert!(fish.contains("from quota; and __fish_seen_subcommand_from block' -l for -r"), "{fish}");
}
