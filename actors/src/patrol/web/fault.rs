//! What kind of failure an error of the client is: the name, the connection, TLS, or what came after.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::patrol::probe::{Failure, FailureKind};

/// Resolves names as the system does, with errors that can be told from those of connecting.
#[derive(Debug)]
pub(super) struct Resolver;

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{name} could not be resolved: {source}")]
struct Unresolved {
    name: String,
    source: io::Error,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str();
            let failed = |source: io::Error| Unresolved {
                name: name.to_owned(),
                source,
            };
            let found = tokio::net::lookup_host((name, 0)).await.map_err(failed)?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                let none = io::Error::new(io::ErrorKind::NotFound, "it has no address");
                return Err(failed(none).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The failure that this error means.
pub(super) fn of(error: &reqwest::Error) -> Failure {
    let (mut unresolved, mut tls, mut last) = (None, None, None);
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<Unresolved>() {
            unresolved = Some(found.to_string());
        }
        tls = tls.or_else(|| rustls_error(error).map(ToString::to_string));
        last = Some(error.to_string());
        cause = error.source();
    }
    let last = last.unwrap_or_else(|| error.to_string());
    if let Some(detail) = unresolved {
        Failure::new(FailureKind::Dns, detail)
    } else if let Some(detail) = tls {
        Failure::new(FailureKind::Tls, detail)
    } else if error.is_connect() {
        Failure::new(FailureKind::Connect, last)
    } else if error.is_builder() {
        Failure::new(FailureKind::Setup, last)
    } else {
        Failure::new(FailureKind::Http, last)
    }
}

/// An I/O error hides what it was made of from [`Error::source`].
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| rustls_error(inner))
}
