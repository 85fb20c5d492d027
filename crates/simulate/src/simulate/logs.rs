//! The logs of a simulated call, with one for each movement of value where asked for.

use crate::machine::RunContext;
use alloy_primitives::{Address, B256, Log, LogData, U256, address, b256};
use revm::{
    Inspector,
    context_interface::{ContextTr, JournalTr},
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome},
};

/// Who logs that value moved (`eth_simulateV1`).
const TRANSFER_EMITTER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// `Transfer(address,address,uint256)`.
const TRANSFER_TOPIC: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Collects logs; those of a frame that fails are forgotten.
pub(super) struct LogCollector {
    transfers: bool,
    /// The logs of the frames that are open, the innermost last.
    frames: Vec<Vec<Log>>,
    done: Vec<Log>,
}

impl LogCollector {
    pub(super) const fn new(transfers: bool) -> Self {
        Self { transfers, frames: Vec::new(), done: Vec::new() }
    }

    pub(super) fn into_logs(self) -> Vec<Log> {
        self.done
    }

    fn push(&mut self, log: Log) {
        self.frames.last_mut().unwrap_or(&mut self.done).push(log);
    }

    fn moved(&mut self, from: Address, to: Address, value: U256) {
        if !self.transfers || value.is_zero() {
            return;
        }
        let topics = vec![TRANSFER_TOPIC, from.into_word(), to.into_word()];
        let data = LogData::new_unchecked(topics, value.to_be_bytes::<32>().into());
        self.push(Log { address: TRANSFER_EMITTER, data });
    }

    fn close(&mut self, kept: bool) {
        let logs = self.frames.pop().unwrap_or_default();
        if kept {
            self.frames.last_mut().unwrap_or(&mut self.done).extend(logs);
        }
    }
}

impl<'b, 'a> Inspector<RunContext<'b, 'a>> for LogCollector {
    fn log(&mut self, _: &mut RunContext<'b, 'a>, log: Log) {
        self.push(log);
    }

    fn call(&mut self, _: &mut RunContext<'b, 'a>, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.frames.push(Vec::new());
        if let Some(value) = inputs.transfer_value() {
            self.moved(inputs.transfer_from(), inputs.transfer_to(), value);
        }
        None
    }

    fn call_end(&mut self, _: &mut RunContext<'b, 'a>, _: &CallInputs, outcome: &mut CallOutcome) {
        self.close(outcome.result.is_ok());
    }

    fn create(
        &mut self,
        context: &mut RunContext<'b, 'a>,
        inputs: &mut CreateInputs,
    ) -> Option<CreateOutcome> {
        self.frames.push(Vec::new());
        let caller = context.journal_mut().load_account(inputs.caller());
        if let Ok(nonce) = caller.map(|account| account.data.info.nonce) {
            self.moved(inputs.caller(), inputs.created_address(nonce), inputs.value());
        }
        None
    }

    fn create_end(&mut self, _: &mut RunContext<'b, 'a>, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.close(outcome.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.moved(contract, target, value);
    }
}
