//! What a webhook is sent. The shape is a contract.

use serde::Serialize;
use steadfast::{EffectId, Timestamp};

use super::board::{Notice, NoticeState};
use super::effect::SendNotice;

/// The JSON body of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Message<'a> {
    /// The same as in the header `Idempotency-Key`: a receiver that has seen it does nothing.
    pub(super) id: String,
    /// The actor, such as `concern/shop`.
    concern: &'a str,
    target: &'a str,
    /// The target's URL; null once it is not configured any more.
    url: Option<&'a str>,
    state: NoticeState,
    since: Timestamp,
    at: Timestamp,
    reason: &'a str,
    /// The sequence number of the event that this is about, in the concern's journal: grows with each
    /// notification of the concern.
    seq: u64,
    reminder: bool,
}

impl<'a> Message<'a> {
    pub(super) fn new(id: &'a EffectId, send: &'a SendNotice) -> Self {
        let SendNotice {
            target,
            url,
            notice,
            ..
        } = send;
        Self {
            id: key(id, notice),
            concern: id.actor.as_str(),
            target,
            url: url.as_deref(),
            state: notice.state,
            since: notice.since,
            at: notice.at,
            reason: &notice.reason,
            seq: notice.seq,
            reminder: notice.reminder,
        }
    }
}

/// Names what is told, however often and by whichever effect: the event that it is about.
pub(super) fn key(id: &EffectId, notice: &Notice) -> String {
    format!("{}:{}:{}", id.history, id.actor, notice.seq)
}

/// `text` as a quoted string for a header: what is no visible ASCII is written as `%XX`, and so are quotes,
/// backslashes and percent signs.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'%');
    let one = |byte: u8| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let all: String = text.bytes().map(one).collect();
    format!("\"{all}\"")
}
