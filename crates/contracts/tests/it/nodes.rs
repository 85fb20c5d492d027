//! NodeRegistry: what genesis puts into it, who may move whom, and who owes which proof.

use crate::chain::{Chain, Done, Reverted};
use crate::fixture::{DAWN, STAR, STRANGER};
use bxp_contracts::nodes::{country_code, has_node_registry, node_registry_account, registry_agrees_with};
use bxp_contracts::{NODE_REGISTRY, NodeRegistry};
use bxp_types::primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use bxp_types::{Genesis, Jurisdiction, ValidatorEntry};
use std::collections::BTreeMap;

const GOVERNORS: [Address; 3] =
    [Address::repeat_byte(0x61), Address::repeat_byte(0x62), Address::repeat_byte(0x63)];
const PROOF: B256 = B256::repeat_byte(0x9f);

fn validators() -> Vec<ValidatorEntry> {
    let places = [(STAR, Jurisdiction::US), (DAWN, Jurisdiction::US), (STRANGER, Jurisdiction::CA)];
    let entry = |(index, (account, jurisdiction)): (usize, (Address, Jurisdiction))| ValidatorEntry {
        name: format!("node-{index}"),
        jurisdiction,
        public_key: keccak256([index as u8]),
        sealing_key: B256::ZERO,
        account,
        p2p_address: String::new(),
    };
    places.into_iter().enumerate().map(entry).collect()
}

/// A chain at block 10 with a registry where `needed` of three governors decide.
fn governed(needed: u64) -> Chain {
    let mut chain = Chain::new(&[STAR, DAWN]);
    chain.set_account(NODE_REGISTRY, node_registry_account(&validators(), &GOVERNORS, needed));
    chain.height = 10;
    chain
}

fn to(country: &[u8; 2], node: u16) -> NodeRegistry::moveNodeCall {
    NodeRegistry::moveNodeCall { node, country: country.into() }
}

fn prove(chain: &mut Chain, from: Address, node: u16, left_at: u64) -> Result<Done, Reverted> {
    let country = FixedBytes(*b"US");
    let call = NodeRegistry::proveDeletionCall { node, country, leftAt: left_at, blocks: 7, proof: PROOF };
    chain.send(from, NODE_REGISTRY, &call)
}

fn departure(chain: &mut Chain, node: u16) -> NodeRegistry::Departure {
    chain.read(NODE_REGISTRY, &NodeRegistry::departureOfCall { node, country: FixedBytes(*b"US") })
}

fn changes(chain: &mut Chain, from: u64, max: u64) -> Vec<NodeRegistry::Change> {
    let call = NodeRegistry::changesCall { from: U256::from(from), max: U256::from(max) };
    chain.read(NODE_REGISTRY, &call)
}

#[test]
fn the_nodes_of_genesis_are_in_it() {
    let mut chain = governed(1);
    let nodes = chain.read(NODE_REGISTRY, &NodeRegistry::nodesCall {});
    assert_eq!(nodes.len(), 3);
    for (node, entry) in nodes.iter().zip(validators()) {
        let seen = (node.account, node.country, node.active, node.changedAt, node.publicKey);
        assert_eq!(seen, (entry.account, country_code(entry.jurisdiction), true, 0, entry.public_key));
    }
    for governor in GOVERNORS {
        assert!(chain.read(NODE_REGISTRY, &NodeRegistry::isGovernorCall { account: governor }));
    }
    assert!(!chain.read(NODE_REGISTRY, &NodeRegistry::isGovernorCall { account: STAR }));
    assert_eq!(changes(&mut chain, 0, 9), []);
}

#[test]
fn a_genesis_that_contradicts_its_registry_is_noticed() {
    let account = node_registry_account(&validators(), &GOVERNORS, 1);
    let mut genesis = Genesis {
        chain_id: 2018,
        time_ms: 0,
        gas_limit: 1,
        base_fee_wei: 1,
        treasury: Address::ZERO,
        validators: validators(),
        accounts: BTreeMap::new(),
        identity_copies: BTreeMap::new(),
    };
    assert!(!has_node_registry(&genesis), "a network from before the contract has none");
    genesis.accounts.insert(NODE_REGISTRY, account);
    assert!(has_node_registry(&genesis) && registry_agrees_with(&genesis));
    genesis.validators[1].jurisdiction = Jurisdiction::DE;
    assert!(!registry_agrees_with(&genesis));
}

#[test]
fn a_move_is_told_and_leaves_a_proof_owed() {
    let mut chain = governed(1);
    let done = chain.send(GOVERNORS[0], NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    let event = &done.events::<NodeRegistry::NodeMoved>()[0];
    assert_eq!((event.node, event.from.0, event.to.0, event.height), (1, *b"US", *b"DE", 10));
    let nodes = chain.read(NODE_REGISTRY, &NodeRegistry::nodesCall {});
    let seen = (nodes[1].account, nodes[1].country.0, nodes[1].active, nodes[1].changedAt);
    assert_eq!((seen, nodes[1].publicKey), ((DAWN, *b"DE", true, 10), keccak256([1_u8])));
    let owed = departure(&mut chain, 1);
    assert_eq!((owed.node, owed.leftAt, owed.provenAt, owed.proof), (1, 10, 0, B256::ZERO));

    chain.height = 12;
    let done = prove(&mut chain, DAWN, 1, 10).unwrap();
    let event = &done.events::<NodeRegistry::DeletionProven>()[0];
    assert_eq!((event.node, event.country.0, event.leftAt, event.blocks), (1, *b"US", 10, 7));
    let proven = departure(&mut chain, 1);
    assert_eq!((proven.provenAt, proven.blocks, proven.proof), (12, 7, PROOF));
    let all = chain.read(NODE_REGISTRY, &NodeRegistry::departuresCall {});
    assert_eq!(all, [proven]);
    prove(&mut chain, DAWN, 1, 10).unwrap_err().as_error::<NodeRegistry::NothingOwed>();
}

#[test]
fn nobody_but_a_governor_moves_anyone() {
    let mut chain = governed(1);
    for account in [STAR, DAWN, STRANGER, Address::ZERO] {
        let refused = chain.send(account, NODE_REGISTRY, &to(b"DE", 1)).unwrap_err();
        assert_eq!(refused.as_error::<NodeRegistry::NotAGovernor>().account, account);
        let call = NodeRegistry::suspendNodeCall { node: 1 };
        chain.send(account, NODE_REGISTRY, &call).unwrap_err().as_error::<NodeRegistry::NotAGovernor>();
        let call = NodeRegistry::admitNodeCall { node: 1, country: b"DE".into() };
        chain.send(account, NODE_REGISTRY, &call).unwrap_err().as_error::<NodeRegistry::NotAGovernor>();
        let call = NodeRegistry::replaceGovernorCall { from: GOVERNORS[0], to: account };
        chain.send(account, NODE_REGISTRY, &call).unwrap_err().as_error::<NodeRegistry::NotAGovernor>();
    }
    let mut nobody = Chain::new(&[STAR]);
    nobody.set_account(NODE_REGISTRY, node_registry_account(&validators(), &[], 0));
    let refused = nobody.send(Address::ZERO, NODE_REGISTRY, &to(b"DE", 1)).unwrap_err();
    assert_eq!(refused.as_error::<NodeRegistry::NotAGovernor>().account, Address::ZERO);
    assert_eq!(changes(&mut chain, 0, 9), []);
}

#[test]
fn bad_changes_are_refused_by_name() {
    let mut chain = governed(1);
    let governor = GOVERNORS[0];
    let refused = chain.send(governor, NODE_REGISTRY, &to(b"DE", 3)).unwrap_err();
    assert_eq!(refused.as_error::<NodeRegistry::UnknownNode>().node, 3);
    for wrong in [b"us", b"U1", b"\0\0"] {
        let refused = chain.send(governor, NODE_REGISTRY, &to(wrong, 0)).unwrap_err();
        assert_eq!(refused.as_error::<NodeRegistry::NotACountry>().country.0, *wrong);
    }
    let refused = chain.send(governor, NODE_REGISTRY, &to(b"US", 0)).unwrap_err();
    assert_eq!(refused.in_words().unwrap(), "node 0 stands in US already");
    let admit = NodeRegistry::admitNodeCall { node: 0, country: b"DE".into() };
    chain.send(governor, NODE_REGISTRY, &admit).unwrap_err().as_error::<NodeRegistry::NotSuspended>();
    chain.send(governor, NODE_REGISTRY, &to(b"DE", 0)).unwrap();
    let refused = chain.send(governor, NODE_REGISTRY, &to(b"CA", 0)).unwrap_err();
    refused.as_error::<NodeRegistry::ChangedInThisBlock>();

    let refused = prove(&mut chain, DAWN, 0, 10).unwrap_err();
    assert_eq!(refused.as_error::<NodeRegistry::NotTheNodesAccount>().account, DAWN);
    for left_at in [0, 9, 11] {
        prove(&mut chain, STAR, 0, left_at).unwrap_err().as_error::<NodeRegistry::NothingOwed>();
    }
    let country = FixedBytes(*b"US");
    let call = NodeRegistry::proveDeletionCall { node: 0, country, leftAt: 10, blocks: 0, proof: B256::ZERO };
    chain.send(STAR, NODE_REGISTRY, &call).unwrap_err().as_error::<NodeRegistry::EmptyProof>();
    prove(&mut chain, STAR, 9, 10).unwrap_err().as_error::<NodeRegistry::UnknownNode>();
}

/// A wallet's dry run has the number of the newest block, which is 0 on a network that has made none.
#[test]
fn the_first_change_may_be_tried_on_the_state_of_genesis() {
    let mut chain = governed(1);
    chain.height = 0;
    chain.send(GOVERNORS[0], NODE_REGISTRY, &to(b"DE", 1)).unwrap();
}

#[test]
fn two_of_three_governors_have_to_ask_for_the_same_change() {
    let mut chain = governed(2);
    let [one, two, three] = GOVERNORS;
    chain.send(one, NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    chain.send(one, NODE_REGISTRY, &to(b"DE", 1)).unwrap_err().as_error::<NodeRegistry::AlreadyApproved>();
    chain.send(two, NODE_REGISTRY, &to(b"CA", 1)).unwrap();
    chain.send(three, NODE_REGISTRY, &to(b"DE", 0)).unwrap();
    assert_eq!(changes(&mut chain, 0, 9), [], "three different changes, each with one approval");
    let done = chain.send(three, NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    assert_eq!(done.events::<NodeRegistry::NodeMoved>().len(), 1);

    // An approval from before the node's last change counts no more: with it, this would be the second for Canada.
    chain.height = 11;
    chain.send(one, NODE_REGISTRY, &to(b"CA", 1)).unwrap();
    assert_eq!(changes(&mut chain, 0, 9).len(), 1);
}

#[test]
fn a_replaced_governor_and_its_approvals_are_gone() {
    let mut chain = governed(2);
    let ([one, two, three], new) = (GOVERNORS, Address::repeat_byte(0x64));
    chain.send(three, NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    let call = NodeRegistry::replaceGovernorCall { from: three, to: new };
    chain.send(one, NODE_REGISTRY, &call).unwrap();
    let done = chain.send(two, NODE_REGISTRY, &call).unwrap();
    assert_eq!(done.events::<NodeRegistry::GovernorReplaced>()[0].to, new);
    chain.send(three, NODE_REGISTRY, &to(b"DE", 0)).unwrap_err().as_error::<NodeRegistry::NotAGovernor>();
    chain.send(one, NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    assert_eq!(changes(&mut chain, 0, 9), [], "the approval of the one who was replaced is void");
    chain.send(new, NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    assert_eq!(changes(&mut chain, 0, 9).len(), 1);
    let refused = chain.send(one, NODE_REGISTRY, &NodeRegistry::replaceGovernorCall { from: two, to: new });
    refused.unwrap_err().as_error::<NodeRegistry::NotAReplacement>();
}

#[test]
fn who_is_back_in_time_owes_nothing_and_a_proof_stays() {
    let mut chain = governed(1);
    let governor = GOVERNORS[0];
    chain.send(governor, NODE_REGISTRY, &to(b"DE", 1)).unwrap();
    chain.height = 11;
    chain.send(governor, NODE_REGISTRY, &to(b"US", 1)).unwrap();
    assert_eq!(departure(&mut chain, 1).leftAt, 0);
    prove(&mut chain, DAWN, 1, 10).unwrap_err().as_error::<NodeRegistry::NothingOwed>();

    chain.height = 12;
    chain.send(governor, NODE_REGISTRY, &NodeRegistry::suspendNodeCall { node: 1 }).unwrap();
    let refused = chain.send(governor, NODE_REGISTRY, &NodeRegistry::suspendNodeCall { node: 1 });
    refused.unwrap_err().as_error::<NodeRegistry::ChangedInThisBlock>();
    assert!(!chain.read(NODE_REGISTRY, &NodeRegistry::nodesCall {})[1].active);
    prove(&mut chain, DAWN, 1, 12).unwrap();
    chain.height = 13;
    chain.send(governor, NODE_REGISTRY, &to(b"US", 1)).unwrap_err().as_error::<NodeRegistry::IsSuspended>();
    let admit = NodeRegistry::admitNodeCall { node: 1, country: b"US".into() };
    let done = chain.send(governor, NODE_REGISTRY, &admit).unwrap();
    assert_eq!(done.events::<NodeRegistry::NodeAdmitted>()[0].height, 13);
    let proven = departure(&mut chain, 1);
    assert_eq!((proven.leftAt, proven.provenAt), (12, 12), "what was proven stays");

    let seen: Vec<_> = changes(&mut chain, 1, 2)
        .into_iter()
        .map(|change| (change.country.0, change.active, change.height))
        .collect();
    assert_eq!(seen, [(*b"US", true, 11), (*b"US", false, 12)]);
    assert_eq!((changes(&mut chain, 0, 99).len(), changes(&mut chain, 4, 9).len()), (4, 0));
}

#[test]
fn a_call_that_is_none_reverts() {
    let mut chain = governed(1);
    for data in [&b""[..], b"\x01\x02\x03\x04", &[0xff; 100]] {
        let call = Bytes::copy_from_slice(data);
        chain.transact(GOVERNORS[0], NODE_REGISTRY, U256::ZERO, call, 1_000_000).unwrap_err();
    }
    chain.fund(GOVERNORS[0], U256::ONE);
    let refused = chain.transact(GOVERNORS[0], NODE_REGISTRY, U256::ONE, Bytes::new(), 1_000_000);
    refused.unwrap_err();
}
