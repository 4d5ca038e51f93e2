//! Stands around a Rust example of the documents: a `fetch` as a program would have, and a main function.
#![allow(unused_imports)]

use std::time::Duration;

/// Stands for a request: the body and its ETag.
fn fetch(_validator: Option<&str>, _remaining: Duration) -> Result<(Vec<u8>, String), std::io::Error> {
    Ok((b"[]".to_vec(), "\"1\"".to_owned()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // EXAMPLE
    Ok(())
}
