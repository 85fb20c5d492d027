//! A node that stands in another country than before: its working copy is closed until it owes nothing.

use crate::{
    client::{bundle, patient},
    net::{Net, Node},
};
use bxp_types::Jurisdiction;
use bxp_vault::{Directory, Member};

/// From `height` on the first node stands in `country`, and the other where it stood.
fn stand(node: &Node, height: u64, country: Option<Jurisdiction>) {
    let genesis = Directory::of_genesis(node.edge.sender.ledger().genesis());
    let place = |member: &Member| {
        let here = member.validator == node.vault.me();
        let country = if here { country } else { Some(member.country) };
        country.map(|country| Member { country, ..*member })
    };
    let members = genesis.members().filter_map(place);
    node.vault.adopt(Directory::new(height, members, std::collections::BTreeMap::new())).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_resources_are_closed_as_soon_as_the_node_has_left() {
    let net = Net::start(&[Jurisdiction::US, Jurisdiction::US]).await;
    let node = &net.nodes[0];
    let report = node.post("/$ingest", bundle("batch", &[&patient(0, "US")])).await;
    assert_eq!(report.body["new"], 1, "{}", report.text);
    stand(node, 0, Some(Jurisdiction::US));
    let paths = [
        "/Patient/original-0",
        "/Patient/original-0/_history",
        "/Patient?_summary=count",
        "/Patient?family=x",
    ];
    let statuses = async || {
        let mut statuses = Vec::new();
        for path in paths {
            let answer = node.get(path).await;
            assert!(answer.status == 200 || !answer.text.contains("Plantedname"), "{path}: {}", answer.text);
            statuses.push(answer.status);
        }
        statuses
    };
    assert_eq!(statuses().await, [200; 4]);
    stand(node, 5, None);
    assert_eq!(statuses().await, [403; 4], "suspended");
    stand(node, 6, Some(Jurisdiction::US));
    assert_eq!(statuses().await, [200; 4], "back in time, it owes nothing");
    stand(node, 7, Some(Jurisdiction::DE));
    assert_eq!(statuses().await, [403; 4], "abroad");
    let keepers = node.get("/keepers").await;
    let departure = &keepers.body["departures"][0];
    assert_eq!(
        (&departure["height"], &departure["owesProof"]),
        (&7.into(), &true.into()),
        "{}",
        keepers.text
    );
    assert_eq!(departure["chain"], serde_json::Value::Null, "this network has no registry");
}
