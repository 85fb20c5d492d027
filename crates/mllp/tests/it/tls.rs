//! Feeds over TLS: real handshakes with certificates made here.

use super::{WITHIN, answers, message, open};
use bxp_hl7v2::frame;
use bxp_mllp::{Bounds, MllpError, MllpServer, Tls, TlsFiles, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed};
use std::{fs, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

/// An authority, and a sender's certificate under it.
struct Hospital {
    authority: String,
    sender: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

fn hospital() -> Hospital {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&key).unwrap();
    let own = KeyPair::generate().unwrap();
    let sender = CertificateParams::new(vec!["lab.star.example".to_owned()]).unwrap();
    let sender = sender.signed_by(&own, &authority, &key).unwrap();
    let private = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    Hospital { authority: authority.pem(), sender: (sender.der().clone(), private) }
}

/// The files of a listener for `localhost`; gives its certificate too.
fn files(dir: &Path, authorities: Option<&str>) -> (TlsFiles, CertificateDer<'static>) {
    let CertifiedKey { cert, key_pair } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str| {
        fs::write(dir.join(name), text).unwrap();
        dir.join(name)
    };
    let files = TlsFiles {
        certificates: write("node.pem", &cert.pem()),
        key: write("node.key", &key_pair.serialize_pem()),
        client_authorities: authorities.map(|text| write("authorities.pem", text)),
    };
    (files, cert.der().clone())
}

async fn server(dir: &Path, files: &TlsFiles) -> MllpServer {
    let (_, inbox) = open(dir);
    let bounds = Bounds { handshake_time: Duration::from_secs(2), ..Bounds::default() };
    serve("127.0.0.1:0".parse().unwrap(), inbox, bounds, Some(Tls::read(files).unwrap())).await.unwrap()
}

/// Connects as a sender that trusts `node`, with a certificate of its own where it has one.
async fn connect(
    server: &MllpServer,
    node: &CertificateDer<'static>,
    own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(node.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match own {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(server.local_addr()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// What the listener answers to a message, if anything.
async fn answered(stream: &mut TlsStream<TcpStream>, number: usize) -> Vec<String> {
    if stream.write_all(&frame(&message(number))).await.is_err() || stream.flush().await.is_err() {
        return Vec::new();
    }
    answers(stream, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_over_tls_is_answered_and_one_in_clear_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (files, node) = files(dir.path(), None);
    let server = server(dir.path(), &files).await;
    let mut stream = connect(&server, &node, None).await.unwrap();
    for number in 1..=3 {
        let said = answered(&mut stream, number).await;
        assert!(said[0].contains(&format!("MSA|AA|{number}")), "{said:?}");
    }
    let mut clear = TcpStream::connect(server.local_addr()).await.unwrap();
    clear.write_all(&frame(&message(4))).await.unwrap();
    // It hears an alert of TLS at most, and then the end.
    let mut said = Vec::new();
    let _ = timeout(WITHIN, clear.read_to_end(&mut said)).await.expect("the connection is closed");
    assert!(!said.windows(3).any(|window| window == b"MSA"), "{said:?}");
    // A sender that says nothing is let go.
    let mut silent = TcpStream::connect(server.local_addr()).await.unwrap();
    assert_eq!(timeout(WITHIN, answers(&mut silent, 1)).await.unwrap(), Vec::<String>::new());
    // A sender that trusts another certificate does not speak.
    let (_, other) = self::files(tempfile::tempdir().unwrap().path(), None);
    assert!(connect(&server, &other, None).await.is_err());
    drop(stream);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_authorities_are_named_senders_show_their_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let (star, dawn) = (hospital(), hospital());
    let (files, node) = files(dir.path(), Some(&star.authority));
    let server = server(dir.path(), &files).await;
    // Under TLS 1.3 a refusal comes after the sender's own part of the handshake: at the first answer.
    for stranger in [None, Some(dawn.sender)] {
        let said = match connect(&server, &node, stranger).await {
            Ok(mut stream) => answered(&mut stream, 1).await,
            Err(_) => Vec::new(),
        };
        assert!(said.is_empty(), "{said:?}");
    }
    let mut stream = connect(&server, &node, Some(star.sender)).await.unwrap();
    assert!(answered(&mut stream, 2).await[0].contains("MSA|AA|2"));
    drop(stream);
    server.stop().await;
}

#[test]
fn wrong_files_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (good, _) = files(dir.path(), None);
    let other = tempfile::tempdir().unwrap();
    let (foreign, _) = files(other.path(), None);
    fs::write(dir.path().join("empty"), "").unwrap();
    let told = |files: TlsFiles| Tls::read(&files).unwrap_err();
    let missing = told(TlsFiles { key: dir.path().join("none"), ..good.clone() });
    assert!(matches!(missing, MllpError::TlsFile { .. }), "{missing}");
    for (files, expected) in [
        (TlsFiles { key: foreign.key.clone(), ..good.clone() }, "is not the key of the certificate"),
        (TlsFiles { key: good.certificates.clone(), ..good.clone() }, "has no private key in PEM"),
        (TlsFiles { certificates: dir.path().join("empty"), ..good.clone() }, "has no certificate in PEM"),
        (
            TlsFiles { client_authorities: Some(good.key.clone()), ..good.clone() },
            "has no certificate in PEM",
        ),
    ] {
        let error = told(files).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
