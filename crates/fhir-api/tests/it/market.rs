//! `GET /requests`: price transparency (row F7).

use crate::net::Net;
use bxp_clinical::{criterion::Criterion, sender::Call};
use bxp_market::{Buyer, NewRequest, SplitBps};
use bxp_types::Amount;

#[tokio::test(flavor = "multi_thread")]
async fn anyone_at_the_node_sees_price_scope_and_split() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    assert_eq!(node.get("/requests").await.body, serde_json::json!({ "total": 0, "requests": [] }));
    let criterion = Criterion::afib_or_mi_with_earlier_ekg();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let call = Buyer::random().unwrap().create_request(&NewRequest {
        criterion,
        price_per_record: Amount::from_bxm(2).0,
        wanted: 3,
        deadline: now + 3_600,
        acceptance_window: 60,
        split: SplitBps { patient: 7_000, holder: 2_500, treasury: 500 },
    });
    let call = call.unwrap();
    let call = Call { to: call.to, value: call.value, data: call.data };
    let account = node.edge.enclave.public().account;
    node.edge.sender.send(account, &call).await.unwrap();
    let listed = node.get("/requests?limit=5").await.body;
    assert_eq!(listed["total"], 1);
    let request = &listed["requests"][0];
    assert_eq!(
        (&request["state"], &request["wanted"], &request["counted"]),
        (&"Created".into(), &3.into(), &0.into())
    );
    assert_eq!(request["split"]["patient"], 7_000);
    assert!(request["scope"].is_object(), "{request}");
    assert_eq!(request["buyer"].as_str().unwrap().parse(), Ok(account));
    assert_eq!(node.get("/requests?offset=1").await.body["requests"], serde_json::json!([]));
    assert!(node.edge.sender.ledger().head().height().0 > 0);
}
