//! An HL7 v2 feed over TLS into a real process that `[mllp_tls]` configures.

use crate::{
    hl7::{connect, send},
    kit::{Net, STAR, bxp},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed};
use std::{fs, net::SocketAddr, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

/// A sender's certificate with its key.
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// Writes the node's certificate and the authority of its senders into its folder, names them in its configuration, and
/// gives the node's certificate and a sender's.
fn configure(config: &Path) -> (CertificateDer<'static>, Identity) {
    let node = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let CertifiedKey { cert, key_pair } = node;
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&key).unwrap();
    let own = KeyPair::generate().unwrap();
    let sender = CertificateParams::new(vec!["lab.star.example".to_owned()]).unwrap();
    let sender = sender.signed_by(&own, &authority, &key).unwrap();
    let files = [
        ("node.pem", cert.pem()),
        ("node.key", key_pair.serialize_pem()),
        ("authorities.pem", authority.pem()),
    ];
    for (name, text) in files {
        fs::write(config.with_file_name(name), text).unwrap();
    }
    let table = "\n[mllp_tls]\ncertificates = \"node.pem\"\nkey = \"node.key\"\nclient_authorities = \"authorities.pem\"\n";
    let text = fs::read_to_string(config).unwrap() + table;
    fs::write(config, text).unwrap();
    let private = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    (cert.der().clone(), (sender.der().clone(), private))
}

/// Connects as a sender that trusts the node's certificate alone.
async fn connect_tls(
    address: SocketAddr,
    node: &CertificateDer<'static>,
    own: Option<Identity>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(node.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match own {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connect(address).await).await
}

/// Goal: a node with `[mllp_tls]` takes messages of senders with a certificate that it trusts, over TLS, and of nobody else;
/// after a restart too.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_messages_over_tls_from_senders_that_it_trusts() {
    let mut net = Net::make().await;
    let (node, sender) = configure(&net.nodes[STAR].config);
    net.start_all().await;
    let address = net.nodes[STAR].listen.mllp.unwrap();
    let mut stream =
        connect_tls(address, &node, Some((sender.0.clone(), sender.1.clone_key()))).await.unwrap();
    for number in 1..=3 {
        let answer = send(&mut stream, number).await.unwrap();
        assert!(answer.contains(&format!("\rMSA|AA|{number}")), "{answer}");
    }
    assert_eq!(send(&mut connect(address).await, 4).await, None, "a sender in clear is not heard");
    // Under TLS 1.3 a refusal comes after the sender's own part of the handshake: at the first answer.
    let heard = match connect_tls(address, &node, None).await {
        Ok(mut stranger) => send(&mut stranger, 5).await,
        Err(_) => None,
    };
    assert_eq!(heard, None, "a sender without a certificate is not heard");
    net.nodes[STAR].kill().await;
    net.nodes[STAR].start().await;
    let mut stream = connect_tls(address, &node, Some(sender)).await.unwrap();
    let again = send(&mut stream, 3).await.unwrap();
    assert!(again.contains("\rMSA|AA|3"), "{again}");
    let patients = net.nodes[STAR].client.get("/patients").await;
    assert_eq!(patients.body["patients"].as_array().map(Vec::len), Some(3), "each once: {}", patients.text);

    // A node whose files are not there says which, and does not start in clear.
    net.nodes[STAR].stop().await;
    fs::remove_file(net.nodes[STAR].config.with_file_name("node.key")).unwrap();
    let started = bxp().args(["node", "--config"]).arg(&net.nodes[STAR].config).output().await.unwrap();
    let said = String::from_utf8_lossy(&started.stderr);
    assert!(!started.status.success() && said.contains("node.key"), "{said}");
}
