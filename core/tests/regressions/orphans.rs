//! `Orphan`: the files that a holder leaves which died with its result whole, or nearly: made by hand, byte for
//! byte as `docs/protocol.md` has them. The tests of settling stage their deaths with it.

use crate::common::{Place, marker_of, record};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

pub const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// A dead holder.
pub struct Orphan<'p> {
    place: &'p Place,
    pub token: u64,
    marker: Json,
}

impl<'p> Orphan<'p> {
    /// A dead holder whose lease began after what is in place was stored.
    pub fn new(place: &'p Place) -> Orphan<'p> {
        let mut marker = marker_of(place);
        marker["nonce"] = json!(NONCE);
        let token = marker["token"].as_str().unwrap().parse().unwrap();
        Orphan { place, token, marker }
    }

    /// Leaves its marker, which nobody holds locked.
    pub fn leave_marker(&self) {
        self.place.place("refreshing", self.marker.to_string().as_bytes());
    }

    /// As if the machine had been started again since.
    pub fn of_another_boot(mut self) -> Self {
        self.marker["boot"] = json!("another");
        self
    }

    pub fn temporary(&self, ending: &str) -> PathBuf {
        self.place.root().join(format!("api/.models.{ending}.{NONCE}"))
    }

    /// Leaves its temporary value.
    pub fn leave_value(&self, bytes: &[u8]) {
        std::fs::write(self.temporary("json"), bytes).unwrap();
    }

    /// The meta that it had written for its temporary value, replacing what is in place now.
    pub fn meta(&self) -> Json {
        let was = if self.place.file("meta").exists() {
            self.place.json("meta")["cur"].clone()
        } else {
            Json::Null
        };
        json!({"v": 1, "cur": record(&self.temporary("json"), self.token), "was": was, "tier": "api", "name": "models"})
    }

    pub fn leave_meta(&self, meta: &Json) {
        std::fs::write(self.temporary("meta"), meta.to_string()).unwrap();
    }

    /// All that a holder had which died just before its commit.
    pub fn leave_whole(&self, bytes: &[u8]) {
        self.leave_value(bytes);
        self.leave_meta(&self.meta());
        self.leave_marker();
    }
}
