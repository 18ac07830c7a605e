//! Addresses of nodes as the command line takes them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// `http://HOST:PORT`, without a slash at the end.
    Http(String),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err("no path after unix:".to_owned())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if text.starts_with("https://") {
            return Err("nodes do not serve https: write http://HOST:PORT or unix:PATH".to_owned());
        }
        let url = reqwest::Url::parse(text)
            .map_err(|error| format!("{error}: write http://HOST:PORT or unix:PATH"))?;
        if url.scheme() != "http" || url.path() != "/" || url.query().is_some() {
            return Err("write http://HOST:PORT or unix:PATH".to_owned());
        }
        Ok(Self::Http(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Two slashes in front are taken for those of a URL.
            Self::Unix(path) if path.display().to_string().starts_with("//") => {
                write!(f, "unix://{}", path.display())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_urls() {
        let parsed = |text: &str| text.parse::<Endpoint>().ok().map(|found| found.to_string());
        assert_eq!(
            parsed("unix:/run/s.sock").as_deref(),
            Some("unix:/run/s.sock")
        );
        assert_eq!(
            parsed("unix:///run/s.sock").as_deref(),
            Some("unix:/run/s.sock")
        );
        assert_eq!(
            parsed("unix:////run/s.sock").as_deref(),
            Some("unix:////run/s.sock"),
            "what is printed means the same"
        );
        assert_eq!(
            parsed("http://127.0.0.1:7600/").as_deref(),
            Some("http://127.0.0.1:7600")
        );
        for wrong in [
            "unix:",
            "https://a",
            "127.0.0.1:7600",
            "http://a/b",
            "ftp://a",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
