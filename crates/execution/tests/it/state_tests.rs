//! Goal: a state test that holds passes, and one that does not says why. The whole of Ethereum's state tests is run by
//! `make conformance`.

use bxp_execution::run_state_tests;

/// One account sends 10 wei to another under three forks; the roots follow from the four accounts.
const TRANSFER: &str = r#"{"transfer": {
    "env": {"currentCoinbase": "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba", "currentDifficulty": "0x20000",
        "currentGasLimit": "0x5f5e100", "currentNumber": "0x1", "currentTimestamp": "0x3e8", "currentBaseFee": "0xa",
        "currentRandom": "0x20000"},
    "pre": {"0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b":
        {"balance": "0x3b9aca00", "code": "0x", "nonce": "0x0", "storage": {}}},
    "transaction": {"data": ["0x"], "gasLimit": ["0x5208", "0x5207"], "gasPrice": "0x64", "nonce": "0x0",
        "to": "0x1000000000000000000000000000000000000000", "value": ["0xa"],
        "secretKey": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8"},
    "post": {"FORK": [
        {"hash": "ROOT", "logs": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "indexes": {"data": 0, "gas": 0, "value": 0}},
        {"hash": "ROOT", "logs": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "indexes": {"data": 0, "gas": 1, "value": 0}, "expectException": "TransactionException.INTRINSIC_GAS_TOO_LOW"}
    ]}
}}"#;

fn run(fork: &str, root: &str) -> Vec<bxp_execution::StateTestResult> {
    run_state_tests(TRANSFER.replace("FORK", fork).replace("ROOT", root).as_bytes()).unwrap()
}

#[test]
fn a_case_passes_with_its_root_alone() {
    let zero = format!("0x{}", "00".repeat(32));
    for fork in ["Frontier", "Byzantium", "London", "Cancun", "Osaka"] {
        let wrong = run(fork, &zero);
        assert!(wrong.iter().all(|result| !result.pass), "{fork}: {wrong:?}");
        assert!(wrong[0].error.as_ref().unwrap().starts_with("the state root should be 0x00"), "{wrong:?}");
        let right = run(fork, &wrong[0].state_root.unwrap().to_string());
        assert!(right[0].pass, "{fork}: {right:?}");
        assert!(!right[1].pass, "the refused transaction leaves another state");
        let refused = run(fork, &wrong[1].state_root.unwrap().to_string());
        assert!(refused[1].pass, "{fork}: {refused:?}");
    }
    let unknown = run("Atlantis", &zero);
    assert_eq!(unknown[0].error.as_deref(), Some("the fork Atlantis is not known"));
}

#[test]
fn before_london_the_miner_has_it_all_and_after_it_the_tip() {
    let root = |fork| run(fork, &format!("0x{}", "00".repeat(32)))[0].state_root.unwrap();
    assert_eq!(root("Frontier"), root("Berlin"));
    assert_ne!(root("Berlin"), root("London"));
    assert_eq!(root("London"), root("Osaka"));
}

#[test]
fn rubbish_is_no_state_test() {
    for rubbish in ["", "[]", "{\"a\": 1}", "{\"a\": {\"env\": {}}}"] {
        assert!(run_state_tests(rubbish.as_bytes()).is_err(), "{rubbish:?}");
    }
}
