//! Runs that come in one by one and are answered as they finish, in threads: what a search needs, where no run should
//! wait for the end of a batch.

use super::{Cube, Job, run_to_metrics};
use crate::analysis::Analysis;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A run to be done: its number, which of the served datasets it is for, and the run.
#[derive(Debug)]
pub struct Ticket {
    /// The caller's number.
    pub id: u64,
    /// Position of the dataset.
    pub dataset: usize,
    /// The run.
    pub job: Job,
}

/// A finished run.
#[derive(Debug)]
pub struct Done {
    /// The caller's number.
    pub id: u64,
    /// Metrics, or the error text.
    pub outcome: Result<Analysis, String>,
    /// How long the engine took.
    pub seconds: f64,
}

struct Running {
    cancel: Arc<AtomicBool>,
    since: Instant,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Ticket>,
    running: HashMap<u64, Running>,
    done: Vec<Done>,
    closed: bool,
}

/// Waiting, running and finished runs, shared by the threads that serve it and those that hand runs in.
#[derive(Default)]
pub struct JobQueue {
    state: Mutex<State>,
    work: Condvar,
    answers: Condvar,
}

#[allow(clippy::disallowed_methods, reason = "how long a run took; no result depends on it")]
fn now() -> Instant {
    Instant::now()
}

impl JobQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a run; after `close` it is dropped.
    pub fn submit(&self, ticket: Ticket) {
        let mut state = self.state();
        if !state.closed {
            state.waiting.push_back(ticket);
            self.work.notify_one();
        }
    }

    /// What has finished since the last call; waits until there is something, or for `timeout`.
    pub fn take_done(&self, timeout: Duration) -> Vec<Done> {
        let nothing = |state: &mut State| state.done.is_empty() && !state.closed;
        let waited = self.answers.wait_timeout_while(self.state(), timeout, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.done)
    }

    /// Numbers of the runs that are being done, with the seconds since they began.
    pub fn running(&self) -> Vec<(u64, f64)> {
        self.state().running.iter().map(|(id, run)| (*id, run.since.elapsed().as_secs_f64())).collect()
    }

    /// Stops a run that is being done; it is answered with an error.
    pub fn cancel(&self, id: u64) {
        if let Some(run) = self.state().running.get(&id) {
            run.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Drops what is waiting, stops what is running, and ends the serving threads.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        for run in state.running.values() {
            run.cancel.store(true, Ordering::Relaxed);
        }
        self.work.notify_all();
        self.answers.notify_all();
    }

    /// Does the runs on `threads` threads until `close`.
    pub fn serve(&self, cubes: &[Cube<'_>], threads: usize) {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work_off(cubes));
            }
        });
    }

    fn work_off(&self, cubes: &[Cube<'_>]) {
        while let Some((ticket, cancel)) = self.next() {
            let since = now();
            let cube = cubes.get(ticket.dataset).ok_or_else(|| format!("there is no dataset {}", ticket.dataset));
            let outcome = cube.and_then(|cube| run_to_metrics(&ticket.job, cube, &cancel));
            let done = Done { id: ticket.id, outcome, seconds: since.elapsed().as_secs_f64() };
            let mut state = self.state();
            state.running.remove(&ticket.id);
            state.done.push(done);
            self.answers.notify_one();
        }
    }

    /// The next run and its cancel flag; waits for one, none after `close`.
    fn next(&self) -> Option<(Ticket, Arc<AtomicBool>)> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self.work.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        let ticket = state.waiting.pop_front()?;
        let cancel = Arc::new(AtomicBool::new(false));
        state.running.insert(ticket.id, Running { cancel: Arc::clone(&cancel), since: now() });
        Some((ticket, cancel))
    }
}
