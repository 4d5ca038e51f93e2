//! The marker of the original discovery cache, written as it wrote it: in place, without a lock or a token.

use forebay::{Code, Error, Key, Result};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Writes the marker of a refresh by this process that began now and may take `length_ms`.
///
/// # Errors
/// Where the key, the clock file or the folder cannot be used.
///
/// ```
/// let folder = std::env::temp_dir().join(format!("forebay-original-{}", std::process::id()));
/// forebay_processes::write_marker(&folder, None, "api/models", 5000)?;
/// let marker = std::fs::read_to_string(folder.join("api/models.refreshing")).unwrap();
/// assert!(marker.contains("started_at"));
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), forebay::Error>(())
/// ```
pub fn write_marker(root: &Path, clock: Option<&Path>, key: &str, length_ms: u64) -> Result<()> {
    let key = Key::parse(key)?;
    let now = now(clock)?;
    let path = root.join(key.folder()).join(format!("{}.refreshing", key.stem()));
    let text = json!({
        "pid": std::process::id(),
        "started_at": stamp(now)?,
        "deadline": stamp(now + Duration::from_millis(length_ms))?,
    });
    let folder = path.parent().unwrap_or(root);
    make(folder)?;
    std::fs::write(&path, text.to_string()).map_err(|why| Error::io("write", &path, &why))
}

/// Makes the folders that are missing, closed to others as the library makes them.
fn make(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|why| Error::io("make", folder, &why))
}

fn now(clock: Option<&Path>) -> Result<SystemTime> {
    let Some(path) = clock else { return Ok(SystemTime::now()) };
    let bytes = std::fs::read(path).map_err(|why| Error::io("read", path, &why))?;
    let stamps: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    let wall = stamps["wall_ns"].as_str().and_then(|text| text.parse().ok());
    let wall = wall.ok_or_else(|| Error::new(Code::Invalid, "that is no clock file").with_path(path))?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(wall))
}

fn stamp(at: SystemTime) -> Result<String> {
    let stamp = jiff::Timestamp::try_from(at).map_err(|why| Error::new(Code::Invalid, why.to_string()))?;
    Ok(stamp.to_string())
}
