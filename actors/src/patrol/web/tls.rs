//! TLS: whose certificates are trusted, and when a certificate expires.
//!
//! The provider of the cryptography is given here rather than taken from the process, so that nothing has to
//! be set up before.

use std::fs;
use std::sync::Arc;

use reqwest::Response;
use reqwest::tls::TlsInfo;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use steadfast::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::Stamp;
use crate::patrol::probe::{Failure, FailureKind};

/// Longest file of authorities that is read.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What the file is like now; nothing for the system's authorities, which are read once.
pub(super) fn stamp(ca_file: Option<&str>) -> Result<Stamp, Failure> {
    let Some(file) = ca_file else {
        return Ok(None);
    };
    let unreadable = |error: std::io::Error| setup(format!("{file} cannot be read: {error}"));
    let meta = fs::metadata(file).map_err(unreadable)?;
    if meta.len() > MAX_FILE_BYTES {
        return Err(setup(format!(
            "{file} is longer than 4 MiB: it is no file of authorities"
        )));
    }
    Ok(Some((meta.modified().map_err(unreadable)?, meta.len())))
}

/// What to trust.
pub(super) fn config(ca_file: Option<&str>) -> Result<ClientConfig, Failure> {
    let roots = match ca_file {
        Some(file) => authorities(file)?,
        None => system(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A system without any is fine for as long as no certificate has to be trusted.
fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "certificates of the system could not be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

fn authorities(file: &str) -> Result<RootCertStore, Failure> {
    let invalid = |error: &dyn std::fmt::Display| {
        setup(format!("{file} holds no usable certificate: {error}"))
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file).map_err(|error| invalid(&error))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| invalid(&error))?;
        roots.add(certificate).map_err(|error| invalid(&error))?;
    }
    if roots.is_empty() {
        return Err(invalid(&"it has no PEM block CERTIFICATE"));
    }
    Ok(roots)
}

fn setup(detail: String) -> Failure {
    Failure::new(FailureKind::Setup, detail)
}

/// When the certificate expires that the answer came with; `None` without TLS.
pub(super) fn expires(response: &Response) -> Option<Timestamp> {
    let certificate = response.extensions().get::<TlsInfo>()?.peer_certificate()?;
    not_after(certificate)
}

fn not_after(der: &[u8]) -> Option<Timestamp> {
    let certificate = Certificate::from_der(der).ok()?;
    let end = certificate.tbs_certificate().validity().not_after;
    Some(Timestamp::from_micros(0).plus(end.to_unix_duration()))
}
