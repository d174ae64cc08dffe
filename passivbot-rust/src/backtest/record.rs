//! What a run leaves behind: fills, equity and exposure as columns.

use super::account::Account;
use crate::types::{FillLog, Order, PerSide, Position, Samples};

/// A fill with the state after it.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Row of the tensor.
    pub row: usize,
    /// Coin index.
    pub coin: usize,
    /// What was filled.
    pub order: Order,
    /// Realised profit, gross.
    pub pnl: f64,
    /// Fee, negative when paid.
    pub fee: f64,
    /// BTC price of the row.
    pub btc_price: f64,
    /// Position after the fill; a full close keeps the price it had.
    pub position: Position,
    /// Signed exposure of that position.
    pub wallet_exposure: f64,
    /// Exposure of the account; the short part is negative.
    pub twe: PerSide<f64>,
}

/// Appends a fill to the log.
pub fn record_fill(log: &mut FillLog, account: &Account, fill: &Fill) {
    log.index.push(fill.row as u32);
    log.coin.push(fill.coin as u32);
    log.pnl.push(fill.pnl);
    log.fee_paid.push(fill.fee);
    log.usd_total_balance.push(account.usd_total);
    log.btc_cash_wallet.push(account.btc);
    log.usd_cash_wallet.push(account.usd);
    log.btc_price.push(fill.btc_price);
    log.qty.push(fill.order.qty);
    log.price.push(fill.order.price);
    log.psize.push(fill.position.size);
    log.pprice.push(fill.position.price);
    log.order_type.push(fill.order.order_type);
    log.wallet_exposure.push(fill.wallet_exposure);
    log.twe_long.push(fill.twe.long);
    log.twe_short.push(fill.twe.short);
    log.twe_net.push(fill.twe.long + fill.twe.short);
}

/// Empty samples with room for every row from `first_row` on.
pub fn samples_from(first_row: usize, rows: usize) -> Samples {
    let room = rows.saturating_sub(first_row);
    Samples {
        first_row,
        equity_usd: Vec::with_capacity(room),
        equity_btc: Vec::with_capacity(room),
        twe_net: Vec::with_capacity(room),
    }
}
