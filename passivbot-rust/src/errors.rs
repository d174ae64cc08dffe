//! What the core refuses, with the texts users and other programs read (`orchestrator.md` 6, `backtest_engine.md` 2.5).

use std::fmt;

/// Kind of a refusal; the names are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A number that must be finite (and positive where it says so) is not.
    NonFiniteInput,
    /// Bid or ask is not a positive number.
    InvalidOrderBook,
    /// A coin stands at another position than its index says.
    NonContiguousSymbolIdx {
        /// Its position.
        pos: usize,
    },
    /// An EMA that is needed is not in the lists.
    MissingEma,
    /// A step or multiplier of a market is not a positive number.
    InvalidMarket,
    /// An open position has no positive price.
    InvalidPosition,
}

/// A refusal of the core: what, which field, which coin, which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Name of the field, where there is one.
    pub field: Option<&'static str>,
    /// Index of the coin, where there is one.
    pub symbol_idx: Option<usize>,
    /// Row of the backtest, where there is one.
    pub row: Option<usize>,
}

impl CoreError {
    /// An error about a field of a coin.
    pub const fn of_coin(kind: ErrorKind, field: &'static str, symbol_idx: usize) -> Self {
        Self { kind, field: Some(field), symbol_idx: Some(symbol_idx), row: None }
    }

    /// The same error, raised while planning row `row` of a backtest.
    #[must_use]
    pub const fn at_row(self, row: usize) -> Self {
        Self { row: Some(row), ..self }
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.unwrap_or_default();
        let idx = self.symbol_idx.unwrap_or_default();
        match self.kind {
            ErrorKind::NonFiniteInput => {
                write!(f, "NonFiniteInput {{ field: \"{field}\", symbol_idx: {:?} }}", self.symbol_idx)
            }
            ErrorKind::InvalidOrderBook => write!(f, "InvalidOrderBook {{ symbol_idx: {idx} }}"),
            ErrorKind::NonContiguousSymbolIdx { pos } => {
                write!(f, "NonContiguousSymbolIdx {{ pos: {pos}, symbol_idx: {idx} }}")
            }
            ErrorKind::MissingEma => write!(f, "MissingEma {{ symbol_idx: {idx} }}"),
            ErrorKind::InvalidMarket => write!(f, "InvalidMarket {{ field: \"{field}\", symbol_idx: {idx} }}"),
            ErrorKind::InvalidPosition => write!(f, "InvalidPosition {{ field: \"{field}\", symbol_idx: {idx} }}"),
        }?;
        self.row.map_or(Ok(()), |row| write!(f, " at row {row}"))
    }
}

impl std::error::Error for CoreError {}
