//! TLS of the client: which authorities are trusted.

use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Why there is no TLS configuration.
#[derive(Debug)]
pub enum TlsError {
    /// The file of authorities can't be read, or holds no certificate.
    CaFile(PathBuf, String),
    /// The host can't be the name in a certificate.
    Name(String),
    /// The cryptography library refused its defaults.
    Provider(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaFile(path, error) => {
                write!(f, "ca_file: {}: {error}; expected a PEM file with certificates", path.display())
            }
            Self::Name(name) => write!(f, "base_url: {name} is no name that a certificate can be for"),
            Self::Provider(error) => write!(f, "TLS can't be set up: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Trusts the authorities in `ca_file`, else the system's (`SSL_CERT_FILE` is honoured), else Mozilla's.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    with_roots(match ca_file {
        Some(path) => from_file(path)?,
        None => from_system(),
    })
}

/// A TLS configuration that trusts the authorities of the system.
///
/// # Errors
/// [`TlsError::Provider`]
pub fn system_tls() -> Result<Arc<ClientConfig>, TlsError> {
    client_config(None)
}

/// A TLS configuration that accepts every certificate, and only checks that the server has its key. For a server that is
/// known to be this one, whose certificate is for another name than the address that it is asked at.
///
/// # Errors
/// [`TlsError::Provider`]
pub fn unverified_tls() -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Accepts every certificate whose key the server has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A configuration that trusts no certificate, for plain text: it saves reading the system's.
pub(super) fn without_roots() -> Result<Arc<ClientConfig>, TlsError> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn from_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let error = |error: &dyn fmt::Display| TlsError::CaFile(path.to_owned(), error.to_string());
    let file = std::fs::File::open(path).map_err(|e| error(&e))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
        let certificate = certificate.map_err(|e| error(&e))?;
        roots.add(certificate).map_err(|e| error(&e))?;
    }
    if roots.is_empty() { Err(error(&"it holds no certificate")) } else { Ok(roots) }
}

fn from_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // A bare container has no certificates of its own.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
