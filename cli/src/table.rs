//! The table of what is there, for people: names to the left, ages and sizes to the right, nothing wider than what
//! it holds, and nothing in it that could act on the terminal. It knows nothing of where the rows come from.

use crate::say;
use forebay::State;

/// One line of it.
pub(crate) struct Row {
    pub(crate) name: String,
    /// As it is coloured; none: it is not.
    pub(crate) state: Option<State>,
    /// What stands in its place where there is no state to be shown.
    pub(crate) instead: &'static str,
    pub(crate) age: String,
    pub(crate) size: String,
    pub(crate) refresh: String,
}

/// A text without control characters.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |letter: char| match letter.is_control() {
        true => letter.escape_default().collect(),
        false => vec![letter],
    };
    text.chars().flat_map(shown).collect()
}

/// A table of texts below its heads. The columns marked `right` end together; the last one is not filled up.
pub(crate) fn columns<const N: usize>(heads: [&str; N], right: [bool; N], rows: &[[String; N]]) -> String {
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| std::array::from_fn(|column| harmless(&row[column]))));
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line: &[String; N]| line[column].chars().count()).max().unwrap_or(0)
    });
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> = (0..N)
            .map(|column| match (right[column], column + 1 < N) {
                (true, _) => format!("{:>1$}", line[column], widths[column]),
                (false, true) => format!("{:<1$}", line[column], widths[column]),
                (false, false) => line[column].clone(),
            })
            .collect();
        out += &format!("{}\n", cells.join("  "));
    }
    out
}

/// The table, with its head.
pub(crate) fn text(rows: &[Row], coloured: bool) -> String {
    let mut cells = vec![["NAME", "STATE", "AGE", "SIZE", "REFRESH"].map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let state = row.state.map_or(row.instead, State::as_str).to_owned();
        [harmless(&row.name), state, row.age.clone(), row.size.clone(), harmless(&row.refresh)]
    }));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 4] = [width(0), width(1), width(2), width(3)];
    let mut out = String::new();
    for (index, row) in cells.iter().enumerate() {
        let state = match index.checked_sub(1).and_then(|at| rows[at].state) {
            Some(state) => say::state(state, widths[1], coloured),
            None => format!("{:<1$}", row[1], widths[1]),
        };
        let [name, _, age, size, refresh] = row;
        let [names, _, ages, sizes] = widths;
        out += &format!("{name:<names$}  {state}  {age:>ages$}  {size:>sizes$}  {refresh}\n");
    }
    out
}
