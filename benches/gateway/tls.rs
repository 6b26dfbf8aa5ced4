//! TLS towards the clients: one self-signed certificate for all gateways of a run, and the clients that trust it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::crypto::ring::cipher_suite::TLS13_AES_256_GCM_SHA384;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::result::Result;

/// The name in the certificate.
const NAME: &str = "localhost";
/// Name of the certificate's file in a gateway's folder.
pub(crate) const CERTIFICATE_FILE: &str = "cert.pem";
/// Name of the private key's file in a gateway's folder.
pub(crate) const KEY_FILE: &str = "key.pem";

/// A certificate for ECDSA with P-256, and its private key, as PEM.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    key: String,
}

impl Certificate {
    pub(crate) fn generate() -> Result<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = rcgen::CertificateParams::new([NAME.to_owned()])?.self_signed(&key)?;
        Ok(Self { pem: certificate.pem(), key: key.serialize_pem() })
    }

    /// Writes both files into the folder of a gateway.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join(CERTIFICATE_FILE), &self.pem)?;
        Ok(fs::write(folder.join(KEY_FILE), &self.key)?)
    }
}

/// The settings of clients that trust this certificate alone: TLS 1.3 with one cipher suite, so that all gateways encrypt
/// alike, and no resumption, so that every handshake is a full one.
pub(crate) fn client_config(certificate: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let provider =
        rustls::crypto::CryptoProvider { cipher_suites: vec![TLS13_AES_256_GCM_SHA384], ..ring::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The name that clients expect in the certificate.
pub(crate) fn server_name() -> Result<ServerName<'static>> {
    Ok(ServerName::try_from(NAME)?)
}
