//! Runs that panic, and runs that are dropped: every run that is handed in is answered, or the queue was closed.

use ndarray::{Array1, Array3};
use passivbot_rust::backtest::{CoinSpec, RunParams};
use passivbot_rust::batch::queue::{JobQueue, Ticket};
use passivbot_rust::batch::{Cube, Job, run_batch};
use passivbot_rust::types::{BotParams, ExchangeParams, PerSide};
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const ROWS: usize = 10;

struct Data {
    hlcvs: Array3<f64>,
    btc_usd: Array1<f64>,
}

impl Data {
    fn new() -> Self {
        Self { hlcvs: Array3::ones((ROWS, 1, 4)), btc_usd: Array1::ones(ROWS) }
    }
    fn cube(&self) -> Cube<'_> {
        Cube { hlcvs: self.hlcvs.view(), btc_usd: self.btc_usd.view() }
    }
}

/// A run of a coin that never trades; rows that the data do not have make it panic.
fn job(rows: Range<usize>) -> Job {
    let coin = CoinSpec {
        column: 0,
        first_valid: 0,
        last_valid: ROWS - 1,
        warmup_minutes: 0,
        exchange: ExchangeParams { qty_step: 0.001, price_step: 0.01, min_qty: 0.001, min_cost: 1.0, c_mult: 1.0 },
        maker_fee: 0.0002,
        params: PerSide::from_fn(|_| BotParams::default()),
        forced_modes: PerSide::default(),
    };
    Job { coins: vec![coin], run: RunParams { starting_balance: 1000.0, ..RunParams::default() }, rows }
}

#[test]
fn a_panic_is_the_failure_of_one_run() {
    let data = Data::new();
    let queue = JobQueue::default();
    std::thread::scope(|scope| {
        scope.spawn(|| queue.serve(&[data.cube()], 2));
        for (id, (dataset, rows)) in [(0, 0..ROWS), (0, 0..99), (0, 0..ROWS), (7, 0..ROWS)].into_iter().enumerate() {
            queue.submit(Ticket { id: id as u64, dataset, job: job(rows) });
        }
        let mut done = Vec::new();
        while done.len() < 4 {
            done.extend(queue.take_done(Duration::from_secs(60)));
        }
        queue.close();
        done.sort_by_key(|run| run.id);
        let errors: Vec<_> = done.into_iter().map(|run| run.outcome.err().unwrap_or_default()).collect();
        assert_eq!((errors[0].as_str(), errors[2].as_str()), ("", ""));
        assert!(errors[1].starts_with("the engine panicked: "), "{}", errors[1]);
        assert_eq!(errors[3], "there is no dataset 7");
        assert!(queue.running().is_empty());
    });
}

#[test]
fn a_batch_goes_on_after_a_panic() {
    let data = Data::new();
    let jobs = [Ok(job(0..99)), Ok(job(0..ROWS)), Err("unreadable".to_owned())];
    let found = run_batch(&jobs, &data.cube(), 1, &AtomicBool::new(false)).unwrap();
    let errors: Vec<_> = found.into_iter().map(|run| run.err().unwrap_or_default()).collect();
    assert!(errors[0].starts_with("the engine panicked: "), "{}", errors[0]);
    assert_eq!((errors[1].as_str(), errors[2].as_str()), ("", "unreadable"));
}

#[test]
fn a_closed_queue_drops_what_waits_and_takes_nothing() {
    let data = Data::new();
    let queue = JobQueue::default();
    queue.submit(Ticket { id: 1, dataset: 0, job: job(0..ROWS) });
    queue.close();
    queue.submit(Ticket { id: 2, dataset: 0, job: job(0..ROWS) });
    queue.serve(&[data.cube()], 3);
    assert!(queue.take_done(Duration::from_secs(60)).is_empty());
}
