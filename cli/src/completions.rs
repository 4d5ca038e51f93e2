//! Completions for bash, zsh and fish, made from the table of `spec`. Keys are completed by asking
//! `forebay list`.

use crate::spec::{COMMANDS, Command, Operands};
use std::fmt::Write;

/// The completions for that shell, if we have them.
pub(crate) fn of(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(format!("#compdef forebay\nautoload -U +X bashcompinit && bashcompinit\n{}", bash())),
        "fish" => Some(fish()),
        _ => None,
    }
}

fn shown() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(|command| !command.hidden)
}

fn takes_keys(command: &Command) -> bool {
    matches!(
        command.name,
        "get" | "put" | "state" | "why" | "refresh" | "mark-stale" | "remove" | "prune" | "list"
    )
}

fn names(command: &Command) -> String {
    [Some(command.name), command.alias].into_iter().flatten().collect::<Vec<_>>().join("|")
}

fn bash() -> String {
    let mut cases = String::new();
    for command in shown() {
        let flags: Vec<String> = command
            .flags
            .iter()
            .flat_map(|flag| [Some(flag.name), flag.alias])
            .flatten()
            .map(|name| format!("--{name}"))
            .collect();
        let words = match command.name {
            "help" => shown().map(|command| command.name).collect::<Vec<_>>().join(" "),
            "completions" => "bash zsh fish".to_owned(),
            _ if takes_keys(command) => "$(forebay list --names 2>/dev/null)".to_owned(),
            _ => String::new(),
        };
        let _ = writeln!(cases, "    {}) flags='{}'; words=\"{words}\" ;;", names(command), flags.join(" "));
    }
    let commands = shown().map(|command| command.name).collect::<Vec<_>>().join(" ");
    let lines = shown()
        .filter(|command| matches!(command.operands, Operands::CommandLine | Operands::ManyThenCommandLine))
        .map(|command| command.name)
        .collect::<Vec<_>>()
        .join("|");
    format!(
        r#"_forebay() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" flags= words= at
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W '{commands}' -- "$word")); return
  fi
  case "$command" in
    {lines})
      for (( at = 2; at < COMP_CWORD; at++ )); do
        if [[ "${{COMP_WORDS[at]}}" == -- ]]; then
          COMPREPLY=($(compgen -A command -A file -- "$word")); return
        fi
      done ;;
  esac
  case "$command" in
{cases}  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
  esac
}}
complete -o default -F _forebay forebay
"#
    )
}

fn fish() -> String {
    let mut out = String::from("complete -c forebay -f\n");
    for command in shown() {
        let _ = writeln!(
            out,
            "complete -c forebay -n __fish_use_subcommand -a {} -d {}",
            command.name,
            quoted(command.about)
        );
        let when = names(command).replace('|', " ");
        for flag in command.flags {
            let value = if flag.value.is_some() { " -r" } else { "" };
            let _ = writeln!(
                out,
                "complete -c forebay -n '__fish_seen_subcommand_from {when}' -l {}{value} -d {}",
                flag.name,
                quoted(flag.help)
            );
        }
        if takes_keys(command) {
            let _ = writeln!(
                out,
                "complete -c forebay -n '__fish_seen_subcommand_from {when}' -a '(forebay list --names 2>/dev/null)'"
            );
        }
    }
    out
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
