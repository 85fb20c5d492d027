//! Search over HTTP: links, parts, totals, remarks. What each parameter finds, the store's own tests tell.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{Net, Node, Place, TOKEN, on_both},
};
use reqwest::Method;

on_both! {
    pages_are_followed_by_opaque_links_while_others_write,
    a_form_is_searched_like_a_query_and_parts_are_given,
    what_the_statement_lists_can_be_searched,
    a_compartment_is_searched_by_type,
    several_types_are_searched_at_once,
}

async fn with_patients(place: Place, count: usize) -> Net {
    let net = Net::of_one_at(place).await;
    let patients: Vec<String> = (0..count).map(|number| patient(number, "US")).collect();
    let all: Vec<&str> = patients.iter().map(String::as_str).collect();
    let report = net.nodes[0].post("/$ingest", bundle("batch", &all)).await;
    assert_eq!(report.body["new"], count, "{}", report.text);
    net
}

fn ids(answer: &Answer) -> Vec<String> {
    let entries = answer.body["entry"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(|one| one["resource"]["id"].as_str().map(str::to_owned)).collect()
}

fn link(answer: &Answer, relation: &str) -> Option<String> {
    let links = answer.body["link"].as_array()?;
    let url = links.iter().find(|link| link["relation"] == relation)?["url"].as_str()?;
    url.splitn(4, '/').nth(3).map(|path| format!("/{path}"))
}

async fn follow(node: &Node, first: Answer) -> Vec<String> {
    let (mut all, mut answer) = (ids(&first), first);
    while let Some(next) = link(&answer, "next") {
        assert!(!next.contains("Planted"), "a link tells nothing: {next}");
        answer = node.get(&next).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        all.extend(ids(&answer));
    }
    all
}

async fn pages_are_followed_by_opaque_links_while_others_write(place: Place) {
    let net = with_patients(place, 23).await;
    let node = &net.nodes[0];
    let first = node.get("/Patient?family=Plantedname&_count=5").await;
    assert_eq!(ids(&first).len(), 5, "{}", first.text);
    assert_eq!(first.body["total"], serde_json::Value::Null, "no total unless it is asked for or known");
    node.post("/$ingest", bundle("batch", &[&patient(99, "US")])).await;
    let all = follow(node, first).await;
    assert_eq!(all, (0..23).map(|number| format!("original-{number}")).collect::<Vec<_>>());
    let sorted = follow(node, node.get("/Patient?_sort=-birthdate,_id&_count=7").await).await;
    assert_eq!(sorted.len(), 24);
    assert_eq!(sorted[0], "original-17", "born on the ninth; the least id of them");
    let total = node.get("/Patient?_count=1&_total=accurate").await;
    assert_eq!(total.body["total"], 24);
    assert_eq!(node.get("/Patient?_summary=count").await.body["total"], 24);
    let forged = node.get("/Patient?_page=00ff").await;
    assert_eq!(forged.status, 400);
    let stolen =
        link(&node.get("/Patient?_count=5").await, "next").unwrap().replace("/Patient", "/Observation");
    assert_eq!(node.get(&stolen).await.status, 400, "a link is of its own address");
}

async fn a_form_is_searched_like_a_query_and_parts_are_given(place: Place) {
    let net = with_patients(place, 3).await;
    let node = &net.nodes[0];
    node.post("/$ingest", bundle("batch", &[&weight(1)])).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = node
        .send(
            Method::POST,
            "/Observation/_search",
            &form,
            "patient.family=Plantedname&_include=Observation:patient".to_owned(),
        )
        .await;
    assert_eq!(ids(&posted), ["weight-1", "original-1"], "{}", posted.text);
    assert_eq!(posted.body["entry"][1]["search"]["mode"], "include");
    let part = node.get("/Patient?_id=original-1&_elements=gender").await;
    let resource = &part.body["entry"][0]["resource"];
    assert_eq!((&resource["gender"], &resource["name"]), (&"female".into(), &serde_json::Value::Null));
    assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED");
    let summary = node.get("/Patient/original-1?_summary=true").await;
    assert_eq!(summary.body["birthDate"], "1970-01-02");
    let ignored = node.get("/Patient?nonsense=Planted&_id=original-1").await;
    let remark = ignored.body["entry"].as_array().unwrap().last().unwrap();
    assert_eq!(remark["search"]["mode"], "outcome", "{}", ignored.text);
    let strict = node
        .send(Method::GET, "/Patient?nonsense=Planted", &[("prefer", "handling=strict")], String::new())
        .await;
    assert_eq!(strict.status, 400);
    for wrong in [
        "/Patient?birthdate=Planted",
        "/Patient?_sort=Planted",
        "/Patient?_count=x",
        "/Patient?_include=Planted",
        "/Patient?name:Planted=x",
    ] {
        let answer = node.get(wrong).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(!answer.diagnostics().contains("Planted"), "{}", answer.text);
    }
}

async fn what_the_statement_lists_can_be_searched(place: Place) {
    let net = with_patients(place, 1).await;
    let node = &net.nodes[0];
    let statement = node.get("/metadata").await.body;
    let patient = statement["rest"][0]["resource"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["type"] == "Patient")
        .unwrap()
        .clone();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for parameter in patient["searchParam"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let value = match parameter["type"].as_str().unwrap() {
            "date" => "2020-01-01",
            "number" | "quantity" => "1",
            _ => "x",
        };
        let url = format!("http://{}/Patient?{name}={value}", node.server.local_addr());
        let answer =
            client.get(url).bearer_auth(TOKEN).header("prefer", "handling=strict").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
    }
}

/// Goal: a compartment holds what refers to its patient by any of R4's parameters, pages like other searches, and takes
/// the same parameters.
async fn a_compartment_is_searched_by_type(place: Place) {
    let net = with_patients(place, 3).await;
    let node = &net.nodes[0];
    let many: Vec<String> = (1..=7)
        .map(|number| {
            weight(1).replace("weight-1", &format!("w-{number}")).replace("71.50", &format!("{number}1"))
        })
        .collect();
    // Performed by the first patient, about the second one: of both compartments.
    let shared = weight(2).replace(
        "\"valueQuantity\"",
        "\"performer\":[{\"reference\":\"Patient/original-1\"}],\"valueQuantity\"",
    );
    let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
    all.push(&shared);
    let report = node.post("/$ingest", bundle("batch", &all)).await;
    assert_eq!(report.body["new"], 8, "{}", report.text);

    let first = node.get("/Patient/original-1/Observation?_count=3").await;
    assert_eq!(ids(&first).len(), 3, "{}", first.text);
    let found = follow(node, first).await;
    assert_eq!(found.len(), 8, "{found:?}");
    assert_eq!(ids(&node.get("/Patient/original-2/Observation").await), ["weight-2"]);
    assert_eq!(ids(&node.get("/Patient/original-1/Observation?value-quantity=gt50").await).len(), 4);
    assert_eq!(ids(&node.get("/Patient/original-0/Observation").await), Vec::<String>::new());
    assert_eq!(ids(&node.get("/Patient/nobody/Observation").await), Vec::<String>::new());
    assert_eq!(ids(&node.get("/Patient/original-1/Organization").await), Vec::<String>::new());
    for (path, status) in [
        ("/Patient/original-1/Spaceship", 404),
        ("/Observation/w-1/Patient", 404),
        ("/Patient/original-1/_history", 200),
        ("/Patient/original-1/$everything", 200),
    ] {
        let answer = node.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
    let link = link(&node.get("/Patient/original-1/Observation?_count=3").await, "next").unwrap();
    assert_eq!(node.get(&link.replace("original-1", "original-2")).await.status, 400, "of its own address");
}

/// Goal: a search over several types finds what one over each finds, once, page by page, while others write.
async fn several_types_are_searched_at_once(place: Place) {
    let net = with_patients(place, 12).await;
    let node = &net.nodes[0];
    let weights: Vec<String> = (0..5).map(weight).collect();
    node.post("/$ingest", bundle("batch", &weights.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let first = node.get("/?_type=Patient,Observation,Patient&_count=4").await;
    assert_eq!((first.status, ids(&first).len()), (200, 4), "{}", first.text);
    node.post("/$ingest", bundle("batch", &[&patient(99, "US"), &weight(9)])).await;
    let mut all = follow(node, first).await;
    assert_eq!(all.len(), 17, "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 17, "none twice");
    let everything = follow(node, node.get("/?_count=5").await).await;
    assert_eq!(everything.len(), 19);
    let full = node.get("/?_type=Observation,Patient&_count=6").await;
    let rest = follow(node, node.get(&link(&full, "next").unwrap()).await).await;
    assert_eq!(rest.len(), 13, "a page that ends with its type goes on with the next");
    assert_eq!(link(&node.get("/?_type=Observation,Encounter&_count=6").await, "next"), None);
    let counted = node.get("/?_type=Patient,Observation&_summary=count").await;
    assert_eq!(counted.body["total"], 19, "{}", counted.text);
    let by_id = node.get("/?_id=weight-3").await;
    assert_eq!((ids(&by_id), &by_id.body["total"]), (vec!["weight-3".to_owned()], &1.into()));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = node.send(Method::POST, "/_search", &form, "_id=weight-3".to_owned()).await;
    assert_eq!(ids(&posted), ["weight-3"], "{}", posted.text);
    let shared = node.get("/?_type=Observation,Encounter&subject=Patient/original-2").await;
    assert_eq!(ids(&shared), ["weight-2"], "what both types have: {}", shared.text);
    let single = node.get("/?_type=Patient&_sort=-_id&_count=1").await;
    assert_eq!(ids(&single), ["original-99"], "{}", single.text);
    for (path, expected) in [
        ("/?_type=Patient,Observation&code=8867-4", "parameter code is not one of every type"),
        ("/?_type=Patient,Observation&_sort=_id", "to sort, search one type"),
        ("/?_type=Patient,Plantedtype", "parameter _type must be names"),
        ("/?_page=Planted", "parameter _page"),
    ] {
        let refused = node.get(path).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.diagnostics().contains(expected), "{}", refused.text);
    }
    let statement = node.get("/metadata").await;
    let interactions = statement.body["rest"][0]["interaction"].as_array().unwrap();
    assert!(interactions.iter().any(|one| one["code"] == "search-system"));
    let of_group = statement.body["rest"][0]["resource"].as_array().unwrap();
    let of_group = of_group.iter().find(|one| one["type"] == "Group").unwrap();
    assert!(of_group["operation"].to_string().contains("group-export"));
}
