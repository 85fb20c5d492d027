//! Deliveries on their way to other nodes.

use crate::stack::{Stack, US};
use bxp_enclave::Enclave;
use bxp_market::{DeliveryService, MarketError};
use bxp_network::{Event, Network, NetworkConfig, Service};
use bxp_storage::Store;
use bxp_types::{Address, Bytes, Genesis, ValidatorEntry, ValidatorIndex};
use bxp_vault::{Clock, cid_of};
use cid::Cid;
use std::{net::TcpListener, path::Path, sync::Arc};
use tokio::sync::mpsc;

/// Two nodes that talk to each other, in the order of their indexes.
async fn two_nodes(dir: &Path) -> Vec<(Network, mpsc::Receiver<Event>)> {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let names = ["star", "dawn"];
    let enclaves = names.map(|name| Enclave::create(&dir.join(name), None, None).unwrap());
    let entry = |index: usize| {
        let public = enclaves[index].public();
        ValidatorEntry {
            name: names[index].to_owned(),
            jurisdiction: US,
            public_key: public.public_key,
            sealing_key: public.sealing_key,
            account: public.account,
            p2p_address: listeners[index].local_addr().unwrap().to_string(),
        }
    };
    let genesis = Arc::new(Genesis {
        chain_id: 2018,
        time_ms: 0,
        gas_limit: 30_000_000,
        base_fee_wei: 1,
        treasury: Address::ZERO,
        validators: (0..2).map(entry).collect(),
        accounts: Default::default(),
        identity_copies: std::collections::BTreeMap::new(),
    });
    drop(listeners);
    let mut nodes = Vec::new();
    for (index, enclave) in (0_u16..).zip(&enclaves) {
        let listen = genesis.validators[usize::from(index)].p2p_address.parse().unwrap();
        let (genesis, me) = (Arc::clone(&genesis), ValidatorIndex(index));
        let config = NetworkConfig { genesis, me, signing_key: enclave.network_key(), listen };
        nodes.push(bxp_network::start(config).await.unwrap());
    }
    nodes
}

/// Answers requests of the market with `answer`.
async fn serve(mut events: mpsc::Receiver<Event>, answer: impl Fn(&[u8]) -> Option<Bytes>) {
    while let Some(event) = events.recv().await {
        if let Event::Request { service: Service::Market, bytes, reply, .. } = event
            && let Some(found) = answer(&bytes)
        {
            let _ = reply.send(found.into());
        }
    }
}

/// Goal: a buyer gets the delivery through any node, and no node can give him another one. Way: the holder's answers over
/// real sockets, then those of a node that lies.
#[tokio::test(flavor = "multi_thread")]
async fn another_node_finds_a_delivery_and_believes_nothing() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let request = stack.request(1, 3_600, 600).await;
    let agent = star.agent();
    stack.until("it is counted", || stack.progress(request).counted == 1).await;
    agent.stop().await;
    let recorded = stack.reader().delivery(request, 0).unwrap();
    let cid = Cid::try_from(recorded.cid.as_ref()).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), stack.ledger.genesis().network_id()).unwrap();
    let ledger = Arc::clone(&stack.ledger);
    let elsewhere = DeliveryService::open(&store, ledger, Address::ZERO, Clock::system()).unwrap();
    assert_eq!(elsewhere.delivery(&cid).unwrap(), None);

    let mut nodes = two_nodes(dir.path()).await;
    let (dawn, _dawns_events) = nodes.pop().unwrap();
    let (_star, stars_events) = nodes.pop().unwrap();
    let service = star.service();
    let lie = cid_of(b"lie").unwrap();
    tokio::spawn(serve(stars_events, move |bytes| {
        if bytes == lie.to_bytes() { Some(Bytes::from_static(b"another")) } else { service.answer(bytes) }
    }));
    stack.until("the nodes are connected", || !dawn.connected().is_empty()).await;
    let sealed = elsewhere.find(&dawn, &cid).await.unwrap().unwrap();
    let opened = stack.buyer.open_delivery(request, &recorded, &sealed).unwrap();
    assert_eq!(opened.charts.len(), 1);
    assert!(matches!(elsewhere.find(&dawn, &lie).await, Err(MarketError::WrongDelivery(_))));
    let unknown = cid_of(b"unknown").unwrap();
    assert_eq!(elsewhere.find(&dawn, &unknown).await.unwrap(), None);
    assert_eq!(elsewhere.fetch(&dawn, ValidatorIndex(0), &cid).await.unwrap(), Some(sealed));
}
