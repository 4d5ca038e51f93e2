//! Power cuts on paper: `tape` reads what a process did to its files, `disk` plays it on a model of a disk and
//! says what may be left after a cut at each moment, `tree` makes that real in a new folder, where the library
//! then opens it as after a reboot; `walk` does this after each step.
//!
//! The model is what POSIX allows, more than today's file systems do: what was not flushed may be gone, whole, cut
//! off or zeros; names that were changed and whose folder was not flushed since may be as before, up to any one
//! change in their order, and, marked as out of order, without any single one. A rename is one change; so is a new
//! time of a file, which a flush of its bytes alone need not keep. A flush of a file keeps its bytes, not its name; a
//! flush of a folder keeps its names, not its own name in its parent.

pub mod disk;
pub mod tape;
pub mod tree;
pub mod walk;
