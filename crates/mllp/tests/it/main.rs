//! The listener as senders meet it: real sockets, a real inbox on disk.

mod tls;

use bxp_clinical::{
    inbox::Inbox,
    ingest::{Ingest, IngestConfig},
    validate::Mode,
};
use bxp_enclave::Enclave;
use bxp_hl7v2::{Framer, frame};
use bxp_mllp::{Bounds, MllpServer, serve};
use bxp_storage::Store;
use bxp_types::{Address, Genesis, Jurisdiction, NetworkId, ValidatorEntry, ValidatorIndex};
use bxp_vault::{Clock, Vault};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const WITHIN: Duration = Duration::from_secs(60);

fn genesis(enclave: &Enclave) -> Genesis {
    let public = enclave.public();
    let validators = vec![ValidatorEntry {
        name: "star".to_owned(),
        jurisdiction: Jurisdiction::US,
        public_key: public.public_key,
        sealing_key: public.sealing_key,
        account: public.account,
        p2p_address: "127.0.0.1:1".to_owned(),
    }];
    let accounts = BTreeMap::new();
    let treasury = Address::ZERO;
    Genesis {
        chain_id: 1,
        time_ms: 0,
        gas_limit: 1,
        base_fee_wei: 1,
        treasury,
        validators,
        accounts,
        identity_copies: BTreeMap::new(),
    }
}

fn open(dir: &Path) -> (Ingest, Inbox) {
    let store = Store::open(&dir.join("data"), NetworkId([1; 32])).unwrap();
    let enclave = Enclave::open_or_create(&dir.join("enclave"), None).unwrap();
    let home = Jurisdiction::US;
    let vault = Vault::open(&store, enclave.clone(), ValidatorIndex(0), home).unwrap();
    let config = IngestConfig { default_jurisdiction: home, validation: Mode::Strict, profiles: Mode::Warn };
    let ingest = Ingest::new(vault, enclave.clone(), &store, &genesis(&enclave), config).unwrap();
    let inbox = Inbox::new(enclave, ingest.clone(), Clock::system());
    (ingest, inbox)
}

async fn server(inbox: Inbox, bounds: Bounds) -> MllpServer {
    serve("127.0.0.1:0".parse().unwrap(), inbox, bounds, None).await.unwrap()
}

fn message(number: usize) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LAB|HOSP|BXP|STAR|20260101120000+0000||ADT^A08^ADT_A01|{number}|P|2.5.1\rPID|1||7^^^HOSP^MR||Doe^Jane^{number}||19610412|F\r"
    )
    .into_bytes()
}

/// Reads answers until there are `count`, or the other end closes.
async fn answers(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<String> {
    let (mut framer, mut buffer, mut found) = (Framer::new(1 << 20), [0_u8; 4096], Vec::new());
    while found.len() < count {
        let read = timeout(WITHIN, stream.read(&mut buffer)).await.unwrap().unwrap_or(0);
        if read == 0 {
            break;
        }
        let mut rest = &buffer[..read];
        while let Some(answer) = framer.next(&mut rest).unwrap() {
            found.push(String::from_utf8(answer).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_connection_are_answered_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (ingest, inbox) = open(dir.path());
    let server = server(inbox, Bounds::default()).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let all: Vec<u8> = (1..=20).flat_map(|number| frame(&message(number))).collect();
    // Cut where it hurts: within frames, one byte at a time at first.
    let (slow, rest) = all.split_at(40);
    for byte in slow {
        stream.write_all(&[*byte]).await.unwrap();
    }
    stream.write_all(rest).await.unwrap();
    let said = answers(&mut stream, 20).await;
    let numbers: Vec<_> =
        said.iter().map(|one| one.split("\rMSA|AA|").nth(1).unwrap().trim().to_owned()).collect();
    assert_eq!(numbers, (1..=20).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(ingest.patients().count(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_there_after_the_process_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (_ingest, inbox) = open(dir.path());
        let server = server(inbox, Bounds::default()).await;
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(&frame(&message(1))).await.unwrap();
        assert!(answers(&mut stream, 1).await[0].contains("MSA|AA|1"));
        drop(stream);
        server.stop().await;
    }
    let (ingest, inbox) = open(dir.path());
    assert_eq!(ingest.patients().count(), 1);
    let server = server(inbox, Bounds::default()).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(&frame(&message(1))).await.unwrap();
    assert!(answers(&mut stream, 1).await[0].contains("MSA|AA|1"));
    assert_eq!(ingest.patients().count(), 1);
    drop(stream);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_are_slow_or_speak_otherwise_are_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (ingest, inbox) = open(dir.path());
    let bounds = Bounds {
        message_time: Duration::from_millis(300),
        idle_time: Duration::from_secs(20),
        message_bytes: 64 << 10,
        connections: 3,
        ..Bounds::default()
    };
    let server = server(inbox, bounds).await;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x0bMSH|cut".to_vec(),
        [b"\x0b".as_slice(), &[b'A'; 70 << 10]].concat(),
    ] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        // The listener may close while this is still being written.
        let _ = stream.write_all(&bytes).await;
        assert_eq!(answers(&mut stream, 1).await, Vec::<String>::new());
    }
    assert_eq!(ingest.patients().count(), 0, "nothing of a cut frame is taken");
    let held: Vec<_> = {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(TcpStream::connect(server.local_addr()).await.unwrap());
        }
        all
    };
    let mut last = held.into_iter().last().unwrap();
    last.write_all(&frame(b"Jane Doe")).await.unwrap();
    let said = answers(&mut last, 1).await;
    assert!(said[0].contains("MSA|AR|") && !said[0].contains("Jane"), "{said:?}");
    server.stop().await;
}
