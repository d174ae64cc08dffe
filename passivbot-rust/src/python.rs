//! The boundary to Python.
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyfunction]
fn calc_ideal_orders_orchestrator(py: Python<'_>, input_json: &str) -> PyResult<String> {
    py.detach(|| crate::orchestrator::request::plan_json(input_json)).map_err(PyValueError::new_err)
}

#[pymodule]
fn passivbot_rust(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(calc_ideal_orders_orchestrator, m)?)
}
