//! Credentials that are used once each: what is stored of them, and the calls that exchange nothing; `rotation.rs` has
//! the one that does. The secret leaves here as bytes only, never within a text.

use crate::failure::{ErrorFacts, duration, epoch_ms, guard};
use crate::hub::Hub;
use forebay::{Credential, Credentials, CredentialsOptions, RotateState, Version};
use napi::bindgen_prelude::{Buffer, External, Uint8Array};
use napi_derive::napi;

/// How the store of credentials is opened; unset = the core's default.
#[napi(object, object_to_js = false)]
pub struct CredentialsFacts {
    pub root: Option<String>,
    pub test_clock: Option<String>,
    /// Milliseconds.
    pub deadline: Option<f64>,
}

/// Opens the credentials below a state root.
#[napi]
pub fn credentials_open(facts: CredentialsFacts) -> napi::Result<External<Credentials>> {
    guard(|| {
        let mut options = CredentialsOptions::new();
        if let Some(root) = facts.root {
            options = options.root(root);
        }
        if let Some(path) = facts.test_clock {
            options = options.test_clock(path);
        }
        if let Some(deadline) = facts.deadline {
            options = options.deadline(duration(deadline)?);
        }
        options.open().map(External::new)
    })
}

/// The state root.
#[napi]
pub fn credentials_root(credentials: &External<Credentials>) -> String {
    credentials.root().to_string_lossy().into_owned()
}

/// A credential, as stored or as a rotation brought it.
#[napi(object, object_from_js = false)]
pub struct CredentialFacts {
    pub data: Buffer,
    pub version: String,
    /// Epoch milliseconds.
    pub stored_at: f64,
    pub how: &'static str,
    pub error: Option<ErrorFacts>,
}

impl From<Credential> for CredentialFacts {
    fn from(credential: Credential) -> CredentialFacts {
        CredentialFacts {
            data: Buffer::from(credential.data().to_vec()),
            version: credential.version().to_string(),
            stored_at: epoch_ms(credential.stored_at()),
            how: credential.how().as_str(),
            error: credential.error().map(ErrorFacts::from),
        }
    }
}

/// What is known of the rotation of a key.
#[napi(object, object_from_js = false)]
pub struct RotateStateFacts {
    pub phase: &'static str,
    pub ambiguous_since: Option<f64>,
    pub retry_at: Option<f64>,
    pub last_error: Option<ErrorFacts>,
    pub version: Option<String>,
}

impl From<RotateState> for RotateStateFacts {
    fn from(state: RotateState) -> RotateStateFacts {
        RotateStateFacts {
            phase: state.phase.as_str(),
            ambiguous_since: state.ambiguous_since.map(epoch_ms),
            retry_at: state.retry_at.map(epoch_ms),
            last_error: state.last_error.as_ref().map(ErrorFacts::from),
            version: Some(state.version)
                .filter(|version| *version != Version::absent())
                .map(|version| version.to_string()),
        }
    }
}

/// The credential that is stored; none where there is none.
#[napi]
pub fn credentials_current(
    hub: &External<Hub>,
    id: u32,
    credentials: &External<Credentials>,
    key: String,
) -> napi::Result<()> {
    let credentials = Credentials::clone(credentials);
    guard(|| hub.submit(id, move || Ok(credentials.current(&key)?.map(CredentialFacts::from))))
}

/// Stores the credential of a new login; none: forgets it. Answers the new version.
#[napi]
pub fn credentials_reset(
    hub: &External<Hub>,
    id: u32,
    credentials: &External<Credentials>,
    key: String,
    bytes: Option<Uint8Array>,
) -> napi::Result<()> {
    let (credentials, bytes) = (Credentials::clone(credentials), bytes.map(|bytes| bytes.to_vec()));
    guard(|| {
        hub.submit(id, move || {
            let version = credentials.reset(&key, bytes.as_deref())?;
            Ok(version.map(|version| version.to_string()))
        })
    })
}

/// What is known of the rotation of that key.
#[napi]
pub fn credentials_state(
    hub: &External<Hub>,
    id: u32,
    credentials: &External<Credentials>,
    key: String,
) -> napi::Result<()> {
    let credentials = Credentials::clone(credentials);
    guard(|| hub.submit(id, move || credentials.state(&key).map(RotateStateFacts::from)))
}

/// Where the state of all programs of this user is kept; none where there is no home.
#[napi]
pub fn default_state_root() -> napi::Result<Option<String>> {
    guard(|| Ok(forebay::default_state_root().map(|path| path.to_string_lossy().into_owned())))
}
