//! TLS for feeds (RFC 8446; IHE ITI TF-2 3.19 asks for it between systems): the node's certificate, and where it is asked
//! for, certificates of senders.

use crate::MllpError;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

/// The files of a listener's TLS, all of them PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The node's certificate, and those between it and its authority.
    pub certificates: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities whose certificates senders must show; without it any sender is heard.
    pub client_authorities: Option<PathBuf>,
}

/// What handshakes are done with.
#[derive(Clone)]
pub struct Tls(pub(crate) TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. Versions below 1.2 are never spoken.
    ///
    /// # Errors
    /// [`MllpError::Tls`], which names the file and nothing of what is in it.
    pub fn read(files: &TlsFiles) -> Result<Self, MllpError> {
        let certificates = certificates(&files.certificates)?;
        let wrong = |path: &Path, what| MllpError::Tls { path: path.to_owned(), what };
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
            .map_err(|_| wrong(&files.key, "has no private key in PEM"))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong(&files.certificates, "cannot be used: no version of TLS is there"))?;
        let builder = match &files.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in self::certificates(path)? {
                    roots
                        .add(authority)
                        .map_err(|_| wrong(path, "has a certificate that is no authority"))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|_| wrong(path, "has no authority that can be used"))?,
                )
            }
        };
        let config = builder.with_single_cert(certificates, key).map_err(|_| {
            wrong(&files.key, "is not the key of the certificate, or of a kind that is not used")
        })?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, MllpError> {
    fs::read(path).map_err(|source| MllpError::TlsFile { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MllpError> {
    let wrong = |what| MllpError::Tls { path: path.to_owned(), what };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let all = all.map_err(|_| wrong("is damaged: it must be certificates in PEM"))?;
    if all.is_empty() { Err(wrong("has no certificate in PEM")) } else { Ok(all) }
}
