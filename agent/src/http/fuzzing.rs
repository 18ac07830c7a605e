//! One door to all that is read of a request before anything is done: its host, its path, its query and its body.

use actix_web::web::Query;
use serde::de::DeserializeOwned;

use super::actors::{CommandBody, CommandQuery, Empty, InspectQuery, ReplayQuery};
use super::concerns::{CancelBody, TriggerBody, who};
use super::events::EventsQuery;
use super::guard::{is_loopback, is_text};
use super::routes::{StateQuery, named};
use super::status::{PlanBody, ReloadBody};

/// Three lines, of which each is host, path and query; the rest is a body.
pub(crate) fn request(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (host, path, query) = (text(), text(), text());
    let body = parts.next().unwrap_or_default();
    if is_loopback(host) {
        // An address as such, or this one name: nothing that somebody could have a name server say.
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '[' | ']');
        let is_known =
            |name: &str| name.eq_ignore_ascii_case("localhost") || name.chars().all(is_address);
        assert!(is_known(name) || is_known(host), "{host:?}");
    }
    is_text(path);
    let (space, key) = path.split_once('/').unwrap_or_default();
    if let Ok(id) = named((space.to_owned(), key.to_owned())) {
        assert_eq!((id.space(), id.key()), (space, key));
    }
    queried::<StateQuery>(query);
    queried::<InspectQuery>(query);
    queried::<CommandQuery>(query);
    queried::<ReplayQuery>(query);
    queried::<EventsQuery>(query);
    read::<CommandBody>(body);
    read::<TriggerBody>(body);
    read::<CancelBody>(body);
    read::<PlanBody>(body);
    read::<ReloadBody>(body);
    read::<Empty>(body);
    let by = who(std::str::from_utf8(body).ok());
    assert!(
        by.chars().count() <= 64 && !by.contains(char::is_control),
        "{by:?}"
    );
}

fn queried<T: DeserializeOwned>(query: &str) {
    // Refused or not is the same here.
    drop(Query::<T>::from_query(query));
}

fn read<T: DeserializeOwned>(body: &[u8]) {
    drop(serde_json::from_slice::<T>(body));
}

/// Real requests to begin with.
pub(crate) fn seeds() -> impl Iterator<Item = &'static str> {
    [
        "localhost:7600\nconcern/logs\nat=1\n{\"command\":\"describe\",\"body\":{},\"key\":\"a\",\"timeout_ms\":5}",
        "[::1]:7600\nconcern/a%2Fb\nfrom=1&limit=3&follow=true\n{\"dry_run\":true,\"wait\":true,\"by\":\"me\"}",
        "127.0.0.1\nx/%c3%a9\nmode=tell\n{\"draft\":{\"name\":\"x\",\"directory\":null,\"text\":\"\"}}",
        "evil.example\n\u{e9}/\u{202e}\nevents=5\n{}",
        "LOCALHOST\nconcern/\nto=9\n{\"by\":\"\\u0000\"}",
    ]
    .into_iter()
}
