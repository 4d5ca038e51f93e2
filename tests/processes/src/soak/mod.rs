//! The soak: workers make every call at random on a few keys while they are killed and stopped at random
//! instants; what each saw and did is logged, and judged afterwards against the promise. `worker` acts, `chaos`
//! kills, `log` is what passes between them and `judge`. `tokens` does the same to single-use credentials, judged by
//! the server that sees each of them.
//!
//! A control run breaks one rule of the protocol on purpose and must find faults: else a clean run means nothing.

pub mod chaos;
pub mod judge;
pub mod log;
pub mod tokens;
pub mod worker;

/// The keys: the first two share a slot, so that they meet in the table and in the guard.
pub const KEYS: [&str; 4] = ["soak/a", "soak/twin24791", "soak/b", "other/c"];

#[cfg(test)]
mod tests {
    use super::*;
    use forebay::Key;

    #[test]
    fn the_first_two_keys_share_a_slot() {
        let slot = |key: &str| Key::parse(key).unwrap().slot();
        let first = slot(KEYS[0]);
        let twin = (0..).map(|n| format!("soak/twin{n}")).find(|name| slot(name) == first);
        assert_eq!(twin.as_deref(), Some(KEYS[1]));
    }
}
