//! Core errors as Python exceptions.

use crate::backtest::RunError;
use crate::errors::CoreError;
use crate::orchestrator::request::PlanFailure;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    passivbot_rust,
    EngineError,
    PyValueError,
    "The engine refuses its input. Attributes `field`, `symbol_idx` and `row` say where, None where they do not apply."
);

/// An exception with the text given and the place of the core's error.
pub fn engine_error(py: Python<'_>, text: String, error: Option<&CoreError>) -> PyErr {
    let exception = EngineError::new_err(text);
    let value = exception.value(py);
    let set = value
        .setattr("field", error.and_then(|e| e.field))
        .and_then(|()| value.setattr("symbol_idx", error.and_then(|e| e.symbol_idx)))
        .and_then(|()| value.setattr("row", error.and_then(|e| e.row)));
    set.err().unwrap_or(exception)
}

/// A refused planning request.
pub fn plan_failure(py: Python<'_>, failure: PlanFailure) -> PyErr {
    engine_error(py, failure.text, failure.error.as_ref())
}

/// A run that ended early.
pub fn run_error(py: Python<'_>, error: &RunError) -> PyErr {
    match error {
        RunError::Planner(core) => engine_error(py, error.to_string(), Some(core)),
        RunError::Cancelled => PyKeyboardInterrupt::new_err(error.to_string()),
    }
}

/// A value that cannot be used, with its path.
pub fn bad_value(text: impl Into<String>) -> PyErr {
    EngineError::new_err(text.into())
}
