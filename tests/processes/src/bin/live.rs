//! `forebay-live`: works on derived results, and can be killed at any moment.
//!
//!     forebay-live worker FOLDER SEED         until it is killed
//!     forebay-live do FOLDER DEED…            one after the other
//!     forebay-live storm ROUNDS [SEED]        workers killed at random, and a judge
//!     forebay-live races TRIALS [SEED]        files changed while results are computed from them
//!     forebay-live large FOLDER               a file of 10 GiB by its content, and a folder of 100,000 files

use forebay_processes::live::{open, races, storm, work};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            // Nobody reads it where the other end is gone.
            drop(writeln!(std::io::stderr(), "forebay-live: {error}"));
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let faults = match words.as_slice() {
        ["worker", folder, seed] => {
            work::endlessly(Path::new(folder), seed.parse()?)?;
            0
        }
        ["do", folder, ..] => {
            work::in_turn(Path::new(folder), &arguments[2..])?;
            0
        }
        ["storm", rounds, rest @ ..] => {
            let seed = rest.first().map_or(Ok(1), |seed| seed.parse())?;
            let folder = tempfile::tempdir()?;
            let program = std::env::current_exe()?;
            let plan = storm::Plan { program, workers: 3, rounds: rounds.parse()?, seed };
            let faults = storm::run(&plan, folder.path())?;
            faults.iter().for_each(|fault| say(fault));
            say(&format!("{rounds} rounds, seed {seed}: {} faults", faults.len()));
            faults.len()
        }
        ["races", trials, rest @ ..] => {
            let seed = rest.first().map_or(Ok(1), |seed| seed.parse())?;
            let folder = tempfile::tempdir()?;
            let seen = races::run(folder.path(), trials.parse()?, seed)?;
            say(&format!("{seen:?}"));
            usize::try_from(seen.stale)?
        }
        ["large", folder] => large(Path::new(folder))?,
        _ => {
            return Err(
                "worker FOLDER SEED | do FOLDER DEED… | storm ROUNDS | races TRIALS | large FOLDER".into()
            );
        }
    };
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn large(folder: &Path) -> Result<usize> {
    let live = open(folder)?;
    let (sparse, crowd) = (folder.join("sparse"), folder.join("crowd"));
    std::fs::File::create(&sparse)?.set_len(10 << 30)?;
    std::fs::create_dir_all(&crowd)?;
    for number in 0..100_000 {
        std::fs::write(crowd.join(number.to_string()), "")?;
    }
    let mut faults = 0;
    let change: [(&str, &dyn Fn() -> std::io::Result<()>); 3] = [
        ("file:sparse", &|| {
            std::os::unix::fs::FileExt::write_all_at(
                &std::fs::OpenOptions::new().write(true).open(&sparse)?,
                b"x",
                (10 << 30) - 1,
            )
        }),
        ("dir:crowd", &|| std::fs::remove_file(crowd.join("77777"))),
        ("glob:crowd/*", &|| std::fs::write(crowd.join("66666"), "x")),
    ];
    for (input, change) in change {
        let key = forebay::LiveKey::from_bytes(input.as_bytes());
        let hit = || live.lookup_revalidate(&key).map(|found| found.hit().is_some());
        live.persist(&key, b"x", "large", &[forebay::Input::parse(input)])?;
        let before = hit()?;
        change()?;
        let after = hit()?;
        say(&format!("{input}: {before} before the change, {after} after it"));
        faults += usize::from(!before || after);
    }
    Ok(faults)
}
