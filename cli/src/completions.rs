//! Completions for bash, zsh and fish, made from the table of `spec`. Keys are completed by asking
//! `forebay list`, names of quotas by asking `forebay quota show`, those of derived results by asking `forebay live ls`.

use crate::spec::{COMMANDS, Command, GROUPS, Group};
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

/// What lists the operands that a command may take.
fn operands(command: &Command) -> Option<&'static str> {
    match command.name {
        "get" | "put" | "state" | "why" | "refresh" | "mark-stale" | "remove" | "prune" | "list" => {
            Some("forebay list --names 2>/dev/null")
        }
        "quota resolve" | "quota show" | "quota block" | "quota clear" => {
            Some("forebay quota show --names 2>/dev/null")
        }
        "live why" => Some("forebay live ls --names 2>/dev/null"),
        _ => None,
    }
}

/// The first words of all commands, each once.
fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> = shown().filter_map(|command| command.name.split(' ').next()).collect();
    words.dedup();
    words
}

fn second_words(group: &Group) -> String {
    group.members().map(|(word, _)| word).collect::<Vec<_>>().join(" ")
}

fn names(command: &Command) -> String {
    let quote = |name: &str| if name.contains(' ') { format!("'{name}'") } else { name.to_owned() };
    [Some(command.name), command.alias].into_iter().flatten().map(quote).collect::<Vec<_>>().join("|")
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
            "help" => first_words().join(" "),
            "completions" => "bash zsh fish".to_owned(),
            _ => operands(command).map(|list| format!("$({list})")).unwrap_or_default(),
        };
        let _ = writeln!(cases, "    {}) flags='{}'; words=\"{words}\" ;;", names(command), flags.join(" "));
    }
    let mut groups = String::new();
    for group in GROUPS {
        let _ = writeln!(groups, "    {}) members='{}' ;;", group.name, second_words(group));
    }
    let commands = first_words().join(" ");
    let lines = shown().filter(|command| command.operands.end_in_a_line()).map(names);
    let lines = lines.collect::<Vec<_>>().join("|");
    format!(
        r#"_forebay() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" flags= words= members= at=2
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W '{commands}' -- "$word")); return
  fi
  case "$command" in
{groups}  esac
  if [[ -n "$members" ]]; then
    if (( COMP_CWORD == 2 )); then
      COMPREPLY=($(compgen -W "$members" -- "$word")); return
    fi
    command="$command ${{COMP_WORDS[2]}}" at=3
  fi
  case "$command" in
    {lines})
      for (( ; at < COMP_CWORD; at++ )); do
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

/// The fish condition under which a command's name stands on the line.
fn seen(command: &Command) -> String {
    match command.name.split_once(' ') {
        Some((group, word)) => {
            format!("__fish_seen_subcommand_from {group}; and __fish_seen_subcommand_from {word}")
        }
        None => format!("__fish_seen_subcommand_from {}", names(command).replace('|', " ")),
    }
}

fn fish() -> String {
    let mut out = String::from("complete -c forebay -f\n");
    for group in GROUPS {
        let _ = writeln!(
            out,
            "complete -c forebay -n __fish_use_subcommand -a {} -d {}",
            group.name,
            quoted(group.about)
        );
    }
    for command in shown() {
        let (when, word) = match command.name.split_once(' ') {
            Some((name, word)) => {
                let words =
                    GROUPS.iter().find(|group| group.name == name).map(second_words).unwrap_or_default();
                let before = format!(
                    "'__fish_seen_subcommand_from {name}; and not __fish_seen_subcommand_from {words}'"
                );
                (before, word)
            }
            None => ("__fish_use_subcommand".to_owned(), command.name),
        };
        let _ = writeln!(out, "complete -c forebay -n {when} -a {word} -d {}", quoted(command.about));
        let when = seen(command);
        for flag in command.flags {
            let value = if flag.value.is_some() { " -r" } else { "" };
            let _ = writeln!(
                out,
                "complete -c forebay -n '{when}' -l {}{value} -d {}",
                flag.name,
                quoted(flag.help)
            );
        }
        if let Some(list) = operands(command) {
            let _ = writeln!(out, "complete -c forebay -n '{when}' -a '({list})'");
        }
    }
    out
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
