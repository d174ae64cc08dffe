//! The boundary to Python: one short function for every exported name. No other file names `PyO3`.
//!
//! A function unpacks, releases the interpreter lock where work follows, calls the core and packs the answer.

#![allow(clippy::needless_pass_by_value, reason = "`PyO3` hands arguments over by value")]

mod bundle;
mod convert;
mod failures;
mod orders;
mod queue;
mod risk;
mod runs;
mod scalars;

use pyo3::prelude::*;

/// Hash of the crate's sources, found by `core/rust_build.py` in the binary without importing it.
#[used]
static SOURCE_HASH_MARKER: &str = concat!("PASSIVBOT_SOURCE_HASH=", env!("PASSIVBOT_SOURCE_HASH"));

#[pymodule]
fn passivbot_rust(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("SOURCE_HASH", SOURCE_HASH_MARKER.split_once('=').map_or("", |(_, hash)| hash))?;
    m.add("EngineError", m.py().get_type::<failures::EngineError>())?;
    m.add_class::<bundle::HlcvsBundle>()?;
    m.add_class::<queue::EngineQueue>()?;
    scalars::register(m)?;
    orders::register(m)?;
    risk::register(m)?;
    runs::register(m)
}
