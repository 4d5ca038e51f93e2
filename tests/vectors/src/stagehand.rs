//! The ops that are not calls of the API: the clock, files below the root, other processes, and waiting for
//! what the scenario itself has started.

use crate::expect::{bytes, hex};
use crate::ops::Run;
use crate::stage::Stage;
use crate::{Check, Fields, Object, text};
use serde_json::{Value as Json, json};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Takes an op's fields.
pub(crate) fn prepare(stage: Arc<Stage>, op: &str, mut fields: Fields) -> Check<Run> {
    let run: Run = match op {
        "advance" => {
            let (both, wall) = (fields.opt_number("ms")?, fields.opt_number("wall_ms")?);
            Box::new(move || stage.advance(both.unwrap_or(0), wall.unwrap_or(0)).map(|()| Object::new()))
        }
        "join" => {
            let name = fields.text("background")?;
            Box::new(move || stage.join(&name))
        }
        "entered" | "release" => {
            let (hold, entered) = (stage.hold(&fields.text("hold")?), op == "entered");
            Box::new(move || {
                if entered {
                    hold.entered()?;
                } else {
                    hold.release();
                }
                Ok(Object::new())
            })
        }
        "actor" | "tell" | "kill" => actor(stage, op, &mut fields)?,
        "files" => {
            let root = root(&stage, &mut fields)?;
            Box::new(move || {
                let mut names = Vec::new();
                walk(&root, "", &mut names)?;
                names.sort();
                Ok(one("files", json!(names)))
            })
        }
        _ => file(stage, op, &mut fields)?,
    };
    fields.finish()?;
    Ok(run)
}

/// The root that the step is about.
fn root(stage: &Stage, fields: &mut Fields) -> Check<PathBuf> {
    match fields.opt_text("in")?.as_deref() {
        None => Ok(stage.root()),
        Some("state") => Ok(stage.state_root()),
        Some(other) => Err(format!("there is no root {other:?}")),
    }
}

fn one(name: &str, json: Json) -> Object {
    Object::from_iter([(name.to_owned(), json)])
}

fn actor(stage: Arc<Stage>, op: &str, fields: &mut Fields) -> Check<Run> {
    let name = fields.text("actor")?;
    Ok(match op {
        "actor" => {
            let arguments = fields.need("args")?;
            let arguments = arguments.as_array().into_iter().flatten().filter_map(Json::as_str);
            let arguments: Vec<String> = arguments.map(str::to_owned).collect();
            Box::new(move || stage.start(&name, &arguments).map(|answer| one("json", answer)))
        }
        "tell" => {
            let line = fields.text("line")?;
            Box::new(move || stage.tell(&name, &line).map(|answer| one("json", answer)))
        }
        _ => Box::new(move || stage.kill(&name).map(|()| Object::new())),
    })
}

/// All files below the folder but those that no fact of a source is in.
fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Check {
    let entries = match fs::read_dir(folder) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(text)?,
    };
    for entry in entries {
        let entry = entry.map_err(text)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if name == ".forebay" || name == "CACHEDIR.TAG" {
            continue;
        }
        if entry.file_type().map_err(text)?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

fn file(stage: Arc<Stage>, op: &str, fields: &mut Fields) -> Check<Run> {
    let path = root(&stage, fields)?.join(fields.text("path")?);
    let act: Act = match op {
        "file" => return Ok(Box::new(move || show(&path))),
        "write_file" => {
            let data = bytes(&fields.need("data")?)?;
            Box::new(move |path| make(path.parent().unwrap_or(path)).and_then(|()| fs::write(path, data)))
        }
        "flip" => {
            let at = fields.number("at")?;
            Box::new(move |path| keeping_mtime(path, |path| flip(path, at)))
        }
        "truncate" => {
            let size = fields.number("size")?.unsigned_abs();
            Box::new(move |path| {
                keeping_mtime(path, |path| File::options().write(true).open(path)?.set_len(size))
            })
        }
        "make_dir" => Box::new(|path| gone(path).and_then(|()| make(path))),
        "delete" => Box::new(|path| fs::remove_file(path)),
        "symlink" => {
            let to = fields.text("to")?;
            Box::new(move |path| gone(path).and_then(|()| symlink(to, path)))
        }
        "chmod" => {
            let mode = u32::from_str_radix(&fields.text("mode")?, 8).map_err(text)?;
            Box::new(move |path| fs::set_permissions(path, Permissions::from_mode(mode)))
        }
        "set_mtime" => {
            let age = fields.number("age_ms")?;
            Box::new(move |path| {
                let by = Duration::from_millis(age.unsigned_abs());
                let at = if age < 0 { stage.now() + by } else { stage.now() - by };
                File::options().write(true).open(path)?.set_modified(at)
            })
        }
        _ => return Err("it is no op".to_owned()),
    };
    Ok(Box::new(move || match act(&path) {
        Ok(()) => Ok(Object::new()),
        Err(why) => Err(format!("{}: {why}", path.display())),
    }))
}

/// What is done to a file below the root.
type Act = Box<dyn FnOnce(&Path) -> std::io::Result<()> + Send>;

/// Makes the folders that are missing, closed to others: the root has to be.
fn make(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn gone(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

fn keeping_mtime(path: &Path, change: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let mtime = fs::metadata(path)?.modified()?;
    change(path)?;
    File::options().write(true).open(path)?.set_modified(mtime)
}

fn flip(path: &Path, at: i64) -> std::io::Result<()> {
    let mut data = fs::read(path)?;
    let distance = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
    let index = if at < 0 { data.len().checked_sub(distance) } else { Some(distance) };
    let byte = index.and_then(|index| data.get_mut(index));
    *byte.ok_or_else(|| std::io::Error::other("there is no such byte"))? ^= 0xff;
    fs::write(path, data)
}

fn show(path: &Path) -> Check<Object> {
    let data = fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let mode = fs::metadata(path).map_err(text)?.permissions().mode() & 0o7777;
    let mut found = one("data", hex(&data));
    found.insert("mode".to_owned(), json!(format!("{mode:o}")));
    if let Ok(json @ Json::Object(_)) = serde_json::from_slice(&data) {
        found.insert("json".to_owned(), json);
    }
    Ok(found)
}
