//! Keys and values that are designed but not built yet. They are refused by name rather than called
//! unknown, and never silently ignored. Building one means deleting its line here.

/// A name that is not available yet, and what to do meanwhile (may be empty).
type Planned = (&'static str, &'static str);

/// Keys of the file itself.
const FILE: &[Planned] = &[(
    "notify",
    "outcomes are in `steadfast ps`, its events and /metrics",
)];
/// Keys of `[http]`.
const HTTP: &[Planned] = &[(
    "token_file",
    "only loopback addresses and unix sockets are served, which need no token",
)];
/// Keys of `[telemetry]`.
const TELEMETRY: &[Planned] = &[(
    "otlp",
    "metrics are served at /metrics, traces go to the log",
)];
/// Keys of `[defaults]`, which every concern may repeat.
const DEFAULTS: &[Planned] = &[
    ("retry", "an attempt is repeated 3 times"),
    ("retention", "all events are kept"),
];
/// Further keys of a concern.
const CONCERN: &[Planned] = &[
    ("watch", "use `every` or `cron`, or `steadfast trigger`"),
    ("on", "use `every` or `cron`, or `steadfast trigger`"),
    (
        "alert",
        "outcomes are in `steadfast ps`, its events and /metrics",
    ),
    (
        "on_failure",
        "outcomes are in `steadfast ps`, its events and /metrics",
    ),
];
/// Values, each with the key it is a value of.
const VALUES: &[(&str, &str)] = &[];
/// Kinds of concerns.
const KINDS: &[&str] = &[
    "log-ship",
    "git-sync",
    "container-heal",
    "ssh-batch",
    "deploy",
    "workflow",
    "pipeline",
    "cron",
    "watch",
    "fsm",
    "task",
];

/// Whether `name` is planned as a key of `table`; then what to do meanwhile.
pub(super) fn key(table: &str, name: &str) -> Option<&'static str> {
    let lists: &[&[Planned]] = match table {
        "" => &[FILE],
        "http" => &[HTTP],
        "telemetry" => &[TELEMETRY],
        "defaults" => &[DEFAULTS],
        _ if is_concern(table) => &[DEFAULTS, CONCERN],
        _ => &[],
    };
    let found = lists
        .iter()
        .copied()
        .flatten()
        .find(|(planned, _)| *planned == name);
    found.map(|(_, meanwhile)| *meanwhile)
}

/// Whether `table` is the key of a concern rather than of a table in it.
fn is_concern(table: &str) -> bool {
    table
        .strip_prefix("concerns.")
        .is_some_and(|name| !name.contains('.') || (name.starts_with('"') && name.ends_with('"')))
}

/// Whether `value` is planned as a value of the dotted `key`.
pub(super) fn is_value(key: &str, value: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    VALUES.contains(&(last, value))
}

/// Whether `kind` is planned as a kind of concern.
pub(super) fn is_kind(kind: &str) -> bool {
    KINDS.contains(&kind)
}
