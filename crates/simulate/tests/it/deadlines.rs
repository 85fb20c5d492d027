//! Goal: what takes too long is ended, wherever it spends its time, and what is in time is not touched.

use alloy_consensus::{
    Header, TrieAccount,
    constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_rpc_types_eth::{
    BlockOverrides, TransactionRequest,
    simulate::{SimBlock, SimulatePayload},
};
use bxp_execution::ChainSpec;
use bxp_simulate::{
    Called, Deadline, Overrides, Question, SimulateError, SimulatedChain, call, estimate, simulate,
};
use bxp_types::{Height, LedgerError, StateDiff, StateReader};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const CHAIN_ID: u64 = 7801;
const CONTRACT: Address = Address::repeat_byte(0xc0);
/// Jumps back for ever.
const SPINS: [u8; 4] = [0x5b, 0x60, 0x00, 0x56];
/// Calls itself with all gas, and jumps nowhere.
const CALLS_ITSELF: [u8; 8] = [0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1];

/// The state of one contract. Where there is a deadline, a root takes until then.
struct State {
    code: Bytes,
    roots: AtomicUsize,
    root_takes_until: Option<Deadline>,
}

impl State {
    fn new(code: &[u8]) -> Self {
        Self { code: Bytes::copy_from_slice(code), roots: AtomicUsize::new(0), root_takes_until: None }
    }
}

impl StateReader for State {
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, LedgerError> {
        Ok((address == CONTRACT).then(|| TrieAccount {
            nonce: 1,
            balance: U256::ZERO,
            storage_root: EMPTY_ROOT_HASH,
            code_hash: if self.code.is_empty() { KECCAK_EMPTY } else { keccak256(&self.code) },
        }))
    }

    fn code(&self, _: B256) -> Result<Bytes, LedgerError> {
        Ok(self.code.clone())
    }

    fn slot(&self, _: Address, _: U256) -> Result<U256, LedgerError> {
        Ok(U256::ZERO)
    }

    fn block_hash(&self, _: Height) -> Result<Option<B256>, LedgerError> {
        Ok(None)
    }

    fn prove_account(&self, _: Address) -> Result<Vec<Bytes>, LedgerError> {
        Ok(Vec::new())
    }

    fn prove_slot(&self, _: Address, _: U256) -> Result<Vec<Bytes>, LedgerError> {
        Ok(Vec::new())
    }

    fn root_after(&self, _: &StateDiff) -> Result<B256, LedgerError> {
        self.roots.fetch_add(1, Ordering::Relaxed);
        while self.root_takes_until.is_some_and(|until| !until.is_over()) {
            std::hint::spin_loop();
        }
        Ok(B256::ZERO)
    }
}

fn header() -> Header {
    Header {
        number: 10,
        timestamp: 1_700_000_000,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(1_000),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Header::default()
    }
}

fn asked<T>(
    code: &[u8],
    allowed: Duration,
    run: impl FnOnce(&Question<'_>, &TransactionRequest) -> Result<T, SimulateError>,
) -> Result<T, SimulateError> {
    let (state, spec, header) = (State::new(code), ChainSpec::bxp(CHAIN_ID), header());
    let question = Question {
        view: &state,
        spec: &spec,
        header: &header,
        overrides: Overrides::default(),
        deadline: Deadline::after(allowed),
    };
    let request =
        TransactionRequest { to: Some(TxKind::Call(CONTRACT)), gas: Some(1_000_000), ..Default::default() };
    run(&question, &request)
}

#[test]
fn a_call_ends_when_its_time_is_over() {
    for code in [&SPINS[..], &CALLS_ITSELF[..]] {
        let late = asked(code, Duration::ZERO, call);
        assert!(matches!(late, Err(SimulateError::Timeout)), "{code:02x?}: {late:?}");
    }
    let late = asked(&SPINS, Duration::ZERO, estimate);
    assert!(matches!(late, Err(SimulateError::Timeout)), "{late:?}");
}

#[test]
fn a_call_in_time_runs_as_far_as_its_gas_does() {
    let spins = asked(&SPINS, Duration::from_secs(600), call).unwrap();
    assert!(matches!(spins, Called::Halt { gas_used: 1_000_000, .. }), "{spins:?}");
    let calls = asked(&CALLS_ITSELF, Duration::from_secs(600), call).unwrap();
    assert!(matches!(calls, Called::Success { .. }), "{calls:?}");
}

/// A block without calls has no instructions to look at the clock in.
#[test]
fn a_simulation_ends_between_its_blocks() {
    let (spec, header) = (ChainSpec::bxp(CHAIN_ID), header());
    let number = Some(U256::from(header.number + 256));
    let blocks = || SimulatePayload {
        block_state_calls: vec![SimBlock {
            block_overrides: Some(BlockOverrides { number, ..BlockOverrides::default() }),
            ..SimBlock::default()
        }],
        ..SimulatePayload::default()
    };
    let simulated = |state: &State, deadline| {
        let chain = SimulatedChain { view: state, base: &header, spec: &spec, deadline };
        simulate(&chain, blocks()).map(|blocks| blocks.len())
    };

    let state = State::new(&[]);
    let late = simulated(&state, Deadline::after(Duration::ZERO));
    assert!(matches!(late, Err(SimulateError::Timeout)), "{late:?}");
    assert_eq!(state.roots.load(Ordering::Relaxed), 0, "no root is begun after the deadline");

    let deadline = Deadline::after(Duration::from_millis(200));
    let state = State { root_takes_until: Some(deadline), ..State::new(&[]) };
    let late = simulated(&state, deadline);
    assert!(matches!(late, Err(SimulateError::Timeout)), "{late:?}");
    assert!(state.roots.load(Ordering::Relaxed) <= 1, "the second block is not begun");

    let state = State::new(&[]);
    assert_eq!(simulated(&state, Deadline::after(Duration::from_secs(600))).unwrap(), 256);
    assert_eq!(state.roots.load(Ordering::Relaxed), 256);
}
