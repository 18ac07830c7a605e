//! Servers that answer as a test says, and remember what they were asked. They end with the test.

use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use steadfast::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

type Answer = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A certificate for `localhost` that vouches for itself.
pub(super) struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    pub(super) fn pem(&self) -> String {
        self.0.cert.pem()
    }
}

/// Valid until `expires`, a whole second.
pub(super) fn authority(expires: Timestamp) -> Certificate {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let seconds = expires.as_micros() / 1_000_000;
    params.not_after = rcgen::date_time_ymd(1970, 1, 1)
        + std::time::Duration::from_secs(seconds.try_into().unwrap());
    let signing_key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    Certificate(CertifiedKey { cert, signing_key })
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

/// A URL that nobody answers.
pub(super) fn nobody() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", free.local_addr().unwrap())
}

/// A server.
pub(super) struct Server {
    base: String,
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers each path like this, and closes.
    pub(super) async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::run(Arc::new(move |path| Some(answer(path))), None, true).await
    }

    /// Answers, and leaves the connection open.
    pub(super) async fn start_open(
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::run(Arc::new(move |path| Some(answer(path))), None, false).await
    }

    /// Never answers.
    pub(super) async fn silent() -> Self {
        Self::run(Arc::new(|_| None), None, false).await
    }

    /// The same with TLS.
    pub(super) async fn start_tls(
        certificate: &Certificate,
        answer: impl Fn(&str) -> &'static str + Send + Sync + 'static,
    ) -> Self {
        let CertifiedKey { cert, signing_key } = &certificate.0;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let answer = move |path: &str| Some(answer(path).to_owned());
        Self::run(Arc::new(answer), Some(tls), true).await
    }

    async fn run(answer: Answer, tls: Option<TlsAcceptor>, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let base = match &tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noting = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                noting.lock().unwrap().connections += 1;
                let (answer, tls) = (Arc::clone(&answer), tls.clone());
                let noting = Arc::clone(&noting);
                open.spawn(async move {
                    match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &answer, &noting, closes).await,
                            Err(_) => None,
                        },
                        None => serve(stream, &answer, &noting, closes).await,
                    }
                });
            }
        });
        let task = task.abort_handle();
        Self { base, seen, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What it was asked so far, as it came.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// One request; `None` once the client is gone.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Answer,
    seen: &Mutex<Seen>,
    closes: bool,
) -> Option<()> {
    let mut request = Vec::new();
    while !is_complete(&request) {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().requests.push(request);
    if let Some(answer) = answer(&path) {
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
    if !closes {
        // Until the client has enough of it.
        stream.read_u8().await.ok()?;
    }
    stream.shutdown().await.ok()
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}
