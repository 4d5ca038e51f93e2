//! The Rust runner of `tests/vectors/scenarios`: what a step is given, what it finds, and how the two are
//! compared. The format is described in `tests/vectors/README.md`; this crate knows nothing of any one scenario.

mod callee;
mod credentials;
mod expect;
mod ops;
mod quota;
mod stage;
mod stagehand;

use serde_json::{Map, Value as Json};
use stage::Stage;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A JSON object: a step, or what it found.
pub type Object = Map<String, Json>;
/// The outcome of anything here: the text says what does not hold.
pub type Check<T = ()> = Result<T, String>;

/// The folder that this crate stands in, with `scenarios` and the tables below it.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The scenario files, sorted by name.
///
/// # Errors
/// Where the folder cannot be read.
pub fn scenarios() -> Check<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder().join("scenarios")).map_err(text)?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(text)?.path();
        if path.extension().is_some_and(|ext| ext == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs one scenario in a fresh folder; `actor` is the program `forebay-actor`.
///
/// # Errors
/// The first step that does not hold, or an unknown op, field or expectation.
pub fn run_file(path: &Path, actor: &Path) -> Check {
    let source = std::fs::read_to_string(path).map_err(text)?;
    let mut file = Fields::of(&serde_json::from_str::<Json>(&source).map_err(text)?)?;
    let name = file.text("name")?;
    if path.file_stem().and_then(|stem| stem.to_str()) != Some(&name) {
        return Err(format!("it calls itself {name:?}"));
    }
    file.text("about")?;
    let defaults = file.object("source")?;
    let quota =
        file.take("quota").map_or(Ok(Object::new()), |quota| Fields::of(&quota).map(|quota| quota.0))?;
    let steps = file.take("steps").and_then(|steps| steps.as_array().cloned()).ok_or("it has no steps")?;
    file.finish()?;
    let stage = Arc::new(Stage::new(actor, defaults, quota)?);
    let outcome = run_steps(&stage, &steps, "");
    stage.end();
    outcome
}

/// Runs steps in order; `prefix` is where they stand.
pub(crate) fn run_steps(stage: &Arc<Stage>, steps: &[Json], prefix: &str) -> Check {
    for (index, step) in steps.iter().enumerate() {
        let place = format!("{prefix}{index}");
        run_step(stage, step, &place).map_err(|why| match why.starts_with("step ") {
            true => why,
            false => format!("step {place}, {}: {why}", step["do"]),
        })?;
        stage.failure()?;
    }
    Ok(())
}

fn run_step(stage: &Arc<Stage>, step: &Json, place: &str) -> Check {
    let mut fields = Fields::of(step)?;
    let op = fields.text("do")?;
    fields.take("note");
    let expect = fields.take("expect");
    let save = fields.opt_text("save")?;
    // Of a join it is the name of the step that is joined.
    let background = if op == "join" { None } else { fields.opt_text("background")? };
    if let Some(name) = background {
        if expect.is_some() || save.is_some() || !ops::IN_BACKGROUND.contains(&op.as_str()) {
            return Err("it cannot run so in the background".to_owned());
        }
        let run = ops::prepare(stage, &op, fields, place)?;
        return stage.background(&name, run);
    }
    let found = ops::prepare(stage, &op, fields, place)?()?;
    let expect = match expect {
        Some(expect) => Fields::of(&expect)?.0,
        None => Object::new(),
    };
    expect::compare(&op, &expect, &found, stage)?;
    match save {
        Some(name) => stage.save(name, found.get("version")),
        None => Ok(()),
    }
}

/// The fields of an object, each taken once: what is left over is an error.
pub(crate) struct Fields(pub(crate) Object);

impl Fields {
    pub(crate) fn of(json: &Json) -> Check<Fields> {
        json.as_object().cloned().map(Fields).ok_or_else(|| format!("{json} is not an object"))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name)
    }

    pub(crate) fn need(&mut self, name: &str) -> Check<Json> {
        self.take(name).ok_or_else(|| format!("it has no {name:?}"))
    }

    pub(crate) fn opt_text(&mut self, name: &str) -> Check<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name:?} is {other}, not a text")),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Check<String> {
        self.opt_text(name)?.ok_or_else(|| format!("it has no {name:?}"))
    }

    pub(crate) fn opt_number(&mut self, name: &str) -> Check<Option<i64>> {
        match self.take(name) {
            None => Ok(None),
            Some(json) => {
                json.as_i64().map(Some).ok_or_else(|| format!("{name:?} is {json}, not an integer"))
            }
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Check<i64> {
        self.opt_number(name)?.ok_or_else(|| format!("it has no {name:?}"))
    }

    pub(crate) fn flag(&mut self, name: &str) -> Check<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(json) => json.as_bool().ok_or_else(|| format!("{name:?} is {json}, not true or false")),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Check<Object> {
        Fields::of(&self.need(name)?).map(|fields| fields.0)
    }

    pub(crate) fn finish(self) -> Check {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("unknown field {name:?}")),
        }
    }
}

/// Any error as its text.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
