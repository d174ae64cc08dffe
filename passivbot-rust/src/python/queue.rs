//! `EngineQueue`: runs handed in one by one, done in threads that never wait for the interpreter lock.

use super::bundle::HlcvsBundle;
use super::convert;
use super::failures::bad_value;
use super::runs::metric_values;
use crate::batch::Cube;
use crate::batch::queue::{JobQueue, Ticket};
use numpy::{IntoPyArray, PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use std::time::Duration;

/// Longest wait that is asked for; a day.
const MAX_WAIT_S: f64 = 86_400.0;

/// Number, metrics (USD, then BTC), error text, seconds.
type DoneRun<'py> = (u64, Bound<'py, PyArray1<f64>>, Option<String>, f64);

/// A queue of runs over some datasets.
#[pyclass(frozen, module = "passivbot_rust")]
pub struct EngineQueue {
    bundles: Vec<Py<HlcvsBundle>>,
    queue: JobQueue,
}

#[pymethods]
impl EngineQueue {
    #[new]
    fn new(bundles: Vec<Py<HlcvsBundle>>) -> Self {
        Self { bundles, queue: JobQueue::default() }
    }

    /// Does the runs on so many threads; returns after `close`.
    fn serve(&self, py: Python<'_>, threads: usize) -> PyResult<()> {
        let bundles: Vec<_> = self.bundles.iter().map(Py::get).collect();
        let arrays = bundles.iter().map(|b| Ok((b.hlcvs.bind(py).try_readonly()?, b.btc_usd.bind(py).try_readonly()?)));
        let arrays = arrays.collect::<PyResult<Vec<_>>>()?;
        let cubes: Vec<_> = arrays.iter().map(|(h, b)| Cube { hlcvs: h.as_array(), btc_usd: b.as_array() }).collect();
        py.detach(|| self.queue.serve(&cubes, threads));
        Ok(())
    }

    /// Queues a run of `backtest_batch`'s form on the dataset at a position.
    fn submit(&self, py: Python<'_>, id: u64, dataset: usize, spec: &Bound<'_, PyAny>) -> PyResult<()> {
        let bundle = self.bundles.get(dataset).ok_or_else(|| bad_value(format!("there is no dataset {dataset}")))?;
        let dims = bundle.get().hlcvs.bind(py).dims();
        let job = convert::batch_spec(spec, 0, dims[0], dims[1])?.job;
        self.queue.submit(Ticket { id, dataset, job });
        Ok(())
    }

    /// What has finished; waits for something at most `timeout_s`.
    fn poll<'py>(&self, py: Python<'py>, timeout_s: f64) -> Vec<DoneRun<'py>> {
        let timeout = Duration::from_secs_f64(timeout_s.clamp(0.0, MAX_WAIT_S));
        let done = py.detach(|| self.queue.take_done(timeout));
        let pack = |run: crate::batch::queue::Done| {
            let values = metric_values(&run.outcome).collect::<Vec<_>>().into_pyarray(py);
            (run.id, values, run.outcome.err(), run.seconds)
        };
        done.into_iter().map(pack).collect()
    }

    /// Runs being done: number, seconds since the start.
    fn running(&self) -> Vec<(u64, f64)> {
        self.queue.running()
    }

    /// Stops a run; it is answered with an error.
    fn cancel(&self, id: u64) {
        self.queue.cancel(id);
    }

    /// Drops and stops everything; `serve` returns.
    fn close(&self) {
        self.queue.close();
    }
}
