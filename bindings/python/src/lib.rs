//! The native half of the Python package `forebay`: it wraps the core's nouns one by one and decides nothing.
//! Idioms, docstrings and the driving of refreshers are in `python/forebay`; the types of what is here are in
//! `_forebay.pyi`.

#![allow(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]

mod cache;
mod credentials;
mod derived;
mod error;
mod gil;
mod lazy;
mod live;
mod quota;
mod reader;
mod source;
mod ticket;
mod value;

use pyo3::prelude::*;

/// Python aligns its objects to 16 bytes, and what lies in them has to do with that.
const fn fits<T>() -> bool {
    align_of::<T>() <= 16
}

const _: () = {
    assert!(fits::<cache::Cache>() && fits::<cache::Events>() && fits::<source::Source>());
    assert!(fits::<ticket::Attempt>() && fits::<ticket::Ticket>() && fits::<value::Value>());
    assert!(fits::<reader::Reader>() && fits::<reader::Readers>());
    assert!(fits::<quota::Quota>() && fits::<quota::Resolve>() && fits::<quota::QuotaJob>());
    assert!(fits::<quota::Answer>() && fits::<credentials::Credentials>());
    assert!(fits::<credentials::Rotation>() && fits::<credentials::Exchange>());
    assert!(fits::<credentials::Credential>() && fits::<derived::Derived>());
    assert!(fits::<live::Live>() && fits::<live::LiveTicket>());
    assert!(fits::<live::Computing>() && fits::<live::LiveJob>() && fits::<live::Working>());
};

#[pymodule]
fn _forebay(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<cache::Cache>()?;
    module.add_class::<cache::Events>()?;
    module.add_class::<source::Source>()?;
    module.add_class::<ticket::Attempt>()?;
    module.add_class::<ticket::Ticket>()?;
    module.add_class::<value::Value>()?;
    module.add_class::<reader::Reader>()?;
    module.add_class::<reader::Readers>()?;
    module.add_class::<quota::Quota>()?;
    module.add_class::<quota::Resolve>()?;
    module.add_class::<quota::QuotaJob>()?;
    module.add_class::<quota::Answer>()?;
    module.add_class::<credentials::Credentials>()?;
    module.add_class::<credentials::Rotation>()?;
    module.add_class::<credentials::Exchange>()?;
    module.add_class::<credentials::Credential>()?;
    module.add_class::<live::Live>()?;
    module.add_class::<live::LiveTicket>()?;
    module.add_class::<live::Computing>()?;
    module.add_class::<live::LiveJob>()?;
    module.add_class::<live::Working>()?;
    module.add_class::<derived::Derived>()?;
    module.add_function(wrap_pyfunction!(derived::live_key, module)?)?;
    module.add_function(wrap_pyfunction!(derived::check_live_key, module)?)?;
    module.add_function(wrap_pyfunction!(derived::parse_input, module)?)?;
    module.add_function(wrap_pyfunction!(gil::leave, module)?)?;
    module.add_function(wrap_pyfunction!(gil::forked, module)?)?;
    module.add_function(wrap_pyfunction!(gil::panic_on_purpose, module)?)?;
    module.add_function(wrap_pyfunction!(error::codes, module)?)?;
    module.add_function(wrap_pyfunction!(error::failure_of_status, module)?)?;
    module.add_function(wrap_pyfunction!(error::parse_duration, module)?)?;
    module.add_function(wrap_pyfunction!(error::format_duration, module)?)?;
    module.add_function(wrap_pyfunction!(credentials::default_state_root, module)?)?;
    module.add_function(wrap_pyfunction!(cache::default_root, module)?)
}
