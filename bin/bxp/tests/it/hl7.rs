//! An HL7 v2 feed into a real process that is killed again and again: what was acknowledged is there, once.

use crate::kit::{Net, RHEIN, STAR, until};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// How often the node is killed while the feed goes on.
const KILLS: usize = 5;
/// Messages that are acknowledged between two kills, each about a patient of its own.
const MESSAGES: usize = 8;

fn message(number: usize) -> String {
    format!(
        "MSH|^~\\&|LAB|HOSP|BXP|STAR|20260101120000+0000||ADT^A04^ADT_A01|{number}|P|2.5.1\rPID|1||{number}^^^HOSP^MR||Wexford^Nigel||19610412|M|||1 Elm St^^Springfield^IL^62701^USA\r"
    )
}

/// A message in its frame.
fn framed(message: &[u8]) -> Vec<u8> {
    [b"\x0b", message, b"\x1c\r"].concat()
}

/// Sends a message and waits for its answer; nothing where the node is gone.
pub(crate) async fn send<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, number: usize) -> Option<String> {
    exchange(stream, message(number).as_bytes()).await
}

/// Sends a message and waits for its answer; nothing where the node is gone.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    message: &[u8],
) -> Option<String> {
    stream.write_all(&framed(message)).await.ok()?;
    stream.flush().await.ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 1024];
    while !answer.ends_with(b"\x1c\r") {
        let count = timeout(Duration::from_secs(60), stream.read(&mut buffer)).await.ok()?.ok()?;
        if count == 0 {
            return None;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(answer).ok()
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Goal: a sender that repeats what was not answered loses nothing and doubles nothing, however often the node dies.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_feed_was_told_is_there_is_there_once() {
    let mut net = Net::start().await;
    let address = net.nodes[STAR].listen.mllp.unwrap();
    let mut number = 0;
    for _ in 0..KILLS {
        let mut stream = connect(address).await;
        for _ in 0..MESSAGES {
            number += 1;
            let answer = send(&mut stream, number).await.unwrap();
            assert!(answer.contains(&format!("\rMSA|AA|{number}")), "{answer}");
        }
        // The next one is on its way when the node dies; nobody knows whether it was taken.
        number += 1;
        stream.write_all(&framed(message(number).as_bytes())).await.unwrap();
        net.nodes[STAR].kill().await;
        net.nodes[STAR].start().await;
        let answer = send(&mut connect(address).await, number).await.unwrap();
        assert!(answer.contains("\rMSA|AA|"), "{answer}");
    }
    let patients = net.nodes[STAR].client.get("/patients").await;
    assert_eq!(patients.body["patients"].as_array().map(Vec::len), Some(number), "{}", patients.text);
    let mut stream = connect(address).await;
    for again in 1..=number {
        assert!(send(&mut stream, again).await.unwrap().contains("\rMSA|AA|"));
    }
    let patients = net.nodes[STAR].client.get("/patients").await;
    assert_eq!(patients.body["patients"].as_array().map(Vec::len), Some(number), "none twice");

    // A hospital in Germany does not take a patient of the US: the message waits there as a dead letter.
    let rhein = net.nodes[RHEIN].listen.mllp.unwrap();
    let answer = send(&mut connect(rhein).await, 1).await.unwrap();
    assert!(answer.contains("\rMSA|AE|1") && !answer.contains("Wexford"), "{answer}");
    let letters = net.nodes[RHEIN].client.get("/hl7v2/dead-letters").await;
    assert_eq!(letters.body.as_array().map(Vec::len), Some(1), "{}", letters.text);
    assert!(!letters.text.contains("Wexford"));
    let replayed = net.nodes[RHEIN].client.post("/hl7v2/dead-letters/replay", "").await.unwrap();
    assert_eq!(replayed.body[0]["taken"], false, "{}", replayed.text);
    until("the feed is counted", async || {
        net.nodes[STAR].client.metrics().await.contains("bxp_hl7v2_messages_total{outcome=\"duplicate\"}")
    })
    .await;
}
