//! What a run of batch payments measured.

use super::{
    super::{
        bound::{self, Costs},
        submission::Submitted,
    },
    Arguments,
};
use crate::demo::tables::table;
use anyhow::Result;
use serde::Serialize;

/// What was measured beside the submission.
pub(super) struct Measured {
    pub(super) recipients_checked: usize,
    /// Of all node processes from their start to their end.
    pub(super) nodes_cpu_us: u64,
    pub(super) recoveries: u64,
    pub(super) proposals: u64,
    /// Of one transaction.
    pub(super) costs: Costs,
    /// Transactions a second at the best.
    pub(super) bound_per_second: f64,
}

#[derive(Serialize)]
pub(super) struct Report {
    validators: u16,
    sharded: bool,
    payments_a_transaction: u16,
    recipients: usize,
    seconds: f64,
    /// Transactions that a node has taken.
    submitted: usize,
    /// Transactions that are final.
    committed: usize,
    transactions_per_second: f64,
    /// Payments that are final.
    payments: u64,
    payments_per_second: f64,
    latency_ms_p50: Option<f64>,
    latency_ms_p99: Option<f64>,
    blocks: u64,
    /// Proposals in a superblock, on the average: n - t at the least.
    proposals_per_block: f64,
    /// Recipients whose balances were held against what was submitted; all of them were right.
    recipients_checked: usize,
    /// Of all node processes from their start to their end.
    node_cpu_us_per_payment: f64,
    /// Of this process while it submits and looks.
    client_cpu_us_per_payment: f64,
    /// Senders that the nodes recovered, by each transaction: at least t + 1.
    recoveries_per_tx: f64,
    cores: usize,
    /// Of one transaction's sender.
    recovery_cpu_us: f64,
    /// Execution, trie and the write of the block to the database, without waiting for the disk.
    execution_cpu_us_per_payment: f64,
    /// cores / (n executions + (t + 1) recoveries / payments of a transaction).
    bound_payments_per_second: f64,
    ratio_to_bound: f64,
}

impl Report {
    pub(super) fn new(arguments: &Arguments, submitted: &Submitted, measured: &Measured) -> Self {
        let each = f64::from(arguments.payments_a_transaction);
        let committed = submitted.committed();
        let payments = committed as u64 * u64::from(arguments.payments_a_transaction);
        let of_a_payment = |sum: u64| sum as f64 / payments.max(1) as f64;
        Self {
            validators: arguments.load.validators,
            sharded: arguments.load.sharded,
            payments_a_transaction: arguments.payments_a_transaction,
            recipients: arguments.recipients,
            seconds: submitted.seconds,
            submitted: submitted.hashes.len(),
            committed,
            transactions_per_second: submitted.committed_per_second(),
            payments,
            payments_per_second: submitted.committed_per_second() * each,
            latency_ms_p50: submitted.latency_ms(0.5),
            latency_ms_p99: submitted.latency_ms(0.99),
            blocks: submitted.blocks,
            proposals_per_block: measured.proposals as f64
                / (submitted.blocks.max(1) * u64::from(arguments.load.validators)) as f64,
            recipients_checked: measured.recipients_checked,
            node_cpu_us_per_payment: of_a_payment(measured.nodes_cpu_us),
            client_cpu_us_per_payment: of_a_payment(submitted.client_cpu_us),
            recoveries_per_tx: measured.recoveries as f64 / committed.max(1) as f64,
            cores: bound::cores(),
            recovery_cpu_us: measured.costs.recovery_cpu_us,
            execution_cpu_us_per_payment: measured.costs.execution_cpu_us / each,
            bound_payments_per_second: measured.bound_per_second * each,
            ratio_to_bound: submitted.committed_per_second() / measured.bound_per_second,
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        let shown =
            |latency: Option<f64>| latency.map_or_else(|| "-".into(), |latency| format!("{latency:.0} ms"));
        let side_by_side = [
            ["final".into(), self.payments.to_string(), self.committed.to_string()],
            rates("a second", self.payments_per_second, self.transactions_per_second),
            rates(
                "a second, limit",
                self.bound_payments_per_second,
                self.bound_payments_per_second / f64::from(self.payments_a_transaction),
            ),
        ];
        println!("{}", table(["", "payments", "signed transactions"], 1, side_by_side.into()));
        println!("validators                     {}", self.validators);
        println!("payments of a transaction      {}", self.payments_a_transaction);
        println!("seconds                        {:.1}", self.seconds);
        println!("latency to final, p50          {}", shown(self.latency_ms_p50));
        println!("latency to final, p99          {}", shown(self.latency_ms_p99));
        println!("blocks                         {}", self.blocks);
        println!("proposals in a block           {:.2}", self.proposals_per_block);
        println!("balances checked               {} of {}", self.recipients_checked, self.recipients);
        println!("nodes' CPU for each payment    {:.1} us", self.node_cpu_us_per_payment);
        println!("client's CPU for each payment  {:.1} us", self.client_cpu_us_per_payment);
        println!("recoveries for a transaction   {:.2}", self.recoveries_per_tx);
        println!("one recovery                   {:.1} us", self.recovery_cpu_us);
        println!("executing one payment          {:.2} us", self.execution_cpu_us_per_payment);
        println!("ratio to the limit             {:.3} on {} cores", self.ratio_to_bound, self.cores);
        Ok(())
    }
}

fn rates(name: &str, payments: f64, transactions: f64) -> [String; 3] {
    [name.into(), format!("{payments:.0}"), format!("{transactions:.1}")]
}
