//! Passivbot's core: order planner, backtest engine and metrics. Rust decides, Python fetches, stores and shows.

pub mod analysis;
pub mod backtest;
pub mod batch;
pub mod closes;
pub mod coin_selection;
pub mod entries;
pub mod errors;
pub mod limits;
pub mod logarithm;
pub mod num;
pub mod orchestrator;
pub mod risk;
pub mod side;
pub mod trailing;
pub mod types;

#[cfg(feature = "python")]
mod python;

/// Runs take megabytes for samples and fills and give them back at their end. This allocator keeps them for the next run,
/// where the system would clear the pages again, which is a third of the time of a short one.
#[cfg(feature = "python")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
