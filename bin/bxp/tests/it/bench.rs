//! Benchmarks, run small: what they say has happened, has happened. Times are not looked at.

use crate::kit::{bxp, turn};
use serde_json::Value;

/// Runs `bxp bench` with these arguments and gives the JSON line that it printed.
async fn bench(arguments: &[&str]) -> Value {
    let output = bxp().arg("bench").args(arguments).arg("--json").output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "bxp bench {arguments:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// Goal: every payment that was taken is final, every recipient has what it was paid, and payments and signed
/// transactions are counted side by side. Way: two seconds of small batches at four validators; the command itself
/// holds the balances of recipients against what it has sent, and fails where one is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn all_payments_of_a_run_are_final() {
    let _turn = turn().await;
    for sharded in [false, true] {
        let mut arguments = vec![
            "payments",
            "--seconds=2",
            "--payments-a-transaction=50",
            "--recipients=130",
            "--payers=8",
            "--in-flight=8",
            "--streams=2",
            "--rate-max=500",
        ];
        arguments.extend(sharded.then_some("--sharded"));
        let report = bench(&arguments).await;
        let number = |field: &str| report[field].as_f64().unwrap_or_else(|| panic!("{field} in {report}"));
        assert_eq!(report["sharded"], sharded);
        assert!(number("committed") > 0.0 && number("submitted") == number("committed"), "{report}");
        assert_eq!(number("payments"), number("committed") * 50.0);
        let rates = number("payments_per_second") / number("transactions_per_second");
        assert!((rates - 50.0).abs() < 1e-6, "{report}");
        assert_eq!(number("recipients_checked"), 130.0);
        // At least t + 1 nodes look at a signature, and n - t proposals are decided.
        assert!(number("recoveries_per_tx") >= 2.0 && number("proposals_per_block") >= 3.0, "{report}");
        for measured in ["recovery_cpu_us", "execution_cpu_us_per_payment", "bound_payments_per_second"] {
            assert!(number(measured) > 0.0, "{report}");
        }
        assert!(number("latency_ms_p50") <= number("latency_ms_p99"), "{report}");
    }
}

/// Goal: a run that cannot measure says what to change, before it starts a network.
#[tokio::test]
async fn a_run_without_recipients_is_refused() {
    let output = bxp().args(["bench", "payments", "--recipients=0"]).output().await.unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("must be at least 1"), "{err}");
}
