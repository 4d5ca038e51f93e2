//! `Envelope`: what is kept of a run beside its standard output, as JSON in the entry's `extra`: the exit status
//! (0, as nothing else is stored) and standard error. Bytes that are not UTF-8 are kept as base64. Of a derived result,
//! which has no such place beside it, it is the first line.

use serde::{Deserialize, Serialize};

/// What is kept of a run beside its standard output.
#[derive(Serialize, Deserialize, Default, PartialEq, Eq, Debug)]
pub(crate) struct Envelope {
    status: i32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    stderr_base64: Option<String>,
    /// How many bytes before those kept were not.
    #[serde(skip_serializing_if = "is_zero", default)]
    stderr_dropped: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Envelope {
    /// Of a run that ended with status 0 and wrote that to standard error.
    pub(crate) fn new(stderr: &[u8], dropped: u64) -> Envelope {
        let mut out = Envelope { stderr_dropped: dropped, ..Envelope::default() };
        match std::str::from_utf8(stderr) {
            Ok(text) => out.stderr = Some(text.to_owned()),
            Err(_) => out.stderr_base64 = Some(encode(stderr)),
        }
        out
    }

    /// As it is stored.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From what is stored; what another program put there is not ours, and nothing is repeated.
    pub(crate) fn from_text(text: &str) -> Envelope {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// A standard output with this before it, in a line of its own.
    pub(crate) fn before(&self, output: &[u8]) -> Vec<u8> {
        let mut out = self.to_text().into_bytes();
        out.reserve_exact(output.len() + 1);
        out.push(b'\n');
        out.extend_from_slice(output);
        out
    }

    /// The inverse; what another program stored is all output.
    pub(crate) fn split(data: &[u8]) -> (Envelope, &[u8]) {
        let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
        let (head, rest) = data.split_at(end);
        match serde_json::from_slice::<Envelope>(head) {
            Ok(own) if own.is_whole() && own.to_text().as_bytes() == head => {
                (own, rest.get(1..).unwrap_or(rest))
            }
            _ => (Envelope::default(), data),
        }
    }

    fn is_whole(&self) -> bool {
        self.stderr.is_some() || self.stderr_base64.is_some()
    }

    /// What is to be repeated on standard error.
    pub(crate) fn stderr(&self) -> Vec<u8> {
        let kept = match (&self.stderr, &self.stderr_base64) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(coded)) => decode(coded).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        if self.stderr_dropped == 0 {
            return kept;
        }
        let mut out = format!("forebay: ({} bytes of standard error were not kept)\n", self.stderr_dropped)
            .into_bytes();
        out.extend(kept);
        out
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648).
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize & 63];
            out.push(if index <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(|byte| DIGITS.iter().position(|digit| *digit == byte).and_then(|at| u32::try_from(at).ok()))
        .collect();
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits?.chunks(4) {
        let bits = (0..4).fold(0, |bits, index| bits << 6 | group.get(index).copied().unwrap_or(0));
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len().max(1)]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_comes_back_byte_for_byte() {
        for bytes in [&b""[..], b"warning\n", b"\xff", b"\x00\xfe\xff\n", b"four\xff", b"\"\\\x01"] {
            let text = Envelope::new(bytes, 0).to_text();
            assert_eq!(Envelope::from_text(&text).stderr(), bytes, "{text}");
        }
        assert_eq!(encode(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
    }

    #[test]
    fn what_is_not_ours_repeats_nothing() {
        for text in ["", "x", "{}", "[1]", r#"{"stderr":7}"#] {
            assert_eq!(Envelope::from_text(text).stderr(), b"", "{text}");
        }
    }

    #[test]
    fn before_an_output_it_is_told_apart_from_it() {
        for output in [&b""[..], b"\n", b"{}\n", b"\xff\x00", b"{\"status\":0,\"stderr\":\"\"}\nx"] {
            for stderr in [&b""[..], b"two\nlines\n", b"\xff"] {
                let data = Envelope::new(stderr, 0).before(output);
                let (envelope, rest) = Envelope::split(&data);
                assert_eq!((&*envelope.stderr(), rest), (stderr, output));
            }
        }
        for foreign in [&b""[..], b"x\ny", b"{\"status\":0}\nx", b"{\"status\":0, \"stderr\":\"\"}\nx", b"\n"]
        {
            assert_eq!(Envelope::split(foreign), (Envelope::default(), foreign));
        }
    }

    #[test]
    fn what_was_dropped_is_told() {
        let text = Envelope::new(b"end", 5).to_text();
        let told = String::from_utf8(Envelope::from_text(&text).stderr()).unwrap();
        assert!(told.starts_with("forebay: (5 bytes") && told.ends_with("\nend"), "{told}");
    }
}
