//! `kind = "http-patrol"`: what it means, and refusals with their place.

use steadfast_actors::human::Span;
use steadfast_actors::patrol::{Method, PatrolConfig};

use super::{Kind, only_problem, read};

/// A file with one patrol that has these lines beside its kind.
fn patrol(lines: &str) -> String {
    format!("version = 1\n[concerns.shop]\nkind = \"http-patrol\"\n{lines}\n")
}

#[track_caller]
fn settings(lines: &str) -> PatrolConfig {
    let config = read(&patrol(lines)).unwrap_or_else(|problems| panic!("{problems}"));
    let Kind::HttpPatrol(settings) = &config.concerns[0].kind else {
        panic!("another kind: {:?}", config.concerns[0]);
    };
    settings.as_ref().clone()
}

#[test]
fn one_url_is_enough() {
    assert_eq!(
        settings("url = \"https://shop.example.com/\"")
            .all_targets()
            .count(),
        1
    );
}

#[test]
fn everything_that_can_be_said() {
    let settings = settings(
        r#"
every = "30s"
method = "HEAD"
headers = { Accept = "text/plain" }
headers_env = { Authorization = "SHOP_TOKEN" }
status = [200, "3xx"]
body_contains = "ok"
body_matches = "^o"
max_latency = "800ms"
timeout = "5s"
tls_expiry = "14d"
follow_redirects = 0
ca_file = "./ca.pem"
parallel = 4
alert_after = 2
resolve_after = 1
targets = [
  "https://shop.example.com/",
  { name = "pay", url = "https://pay.example.com/", status = 204, method = "GET", ca_file = "../pay.pem" },
]
[concerns.shop.notify]
webhook = "https://hooks.example.com/ops"
headers = { Authorization = "Bearer x" }
timeout = "3s"
remind_every = "1h"
ca_file = "./hook.pem"
retry = { attempts = 5, first = "1s", max = "1m" }
"#,
    );
    let targets: Vec<_> = settings.all_targets().collect();
    assert_eq!(
        (targets[0].name(), targets[1].name()),
        ("https://shop.example.com/", "pay")
    );
    assert_eq!(targets[1].method, Some(Method::Get));
    assert_eq!(settings.headers_env.unwrap()["Authorization"], "SHOP_TOKEN");
    assert_eq!(settings.ca_file.as_deref(), Some("/etc/steadfast/ca.pem"));
    assert_eq!(targets[1].ca_file.as_deref(), Some("/etc/pay.pem"));
    let notify = settings.notify.unwrap();
    assert_eq!(notify.ca_file.as_deref(), Some("/etc/steadfast/hook.pem"));
    assert_eq!((notify.retry.attempts, notify.timeout), (5, Span::secs(3)));
}

/// Each row: lines, the key that is blamed, part of the message.
#[test]
fn refusals_say_where() {
    let table = r#"
        every = "1m"                                     | concerns.shop                   | no target
        url = "shop.example.com"                         | concerns.shop.url               | is no URL
        url = "http://a"\ntargets = ["http://b"]         | concerns.shop.url               | beside `targets`
        targets = ["http://a", { name = "b" }]           | concerns.shop.targets[1].url    | `url` is missing
        targets = ["http://a", "b"]                      | concerns.shop.targets[1]        | is no URL
        targets = ["http://a", { url = "b" }]            | concerns.shop.targets[1].url    | is no URL
        targets = ["http://a", { url = "http://b", x = 1 }] | concerns.shop.targets[1].x   | unknown key
        targets = [7]                                    | concerns.shop.targets[0]        | a URL, or a table
        url = "http://a"\nstatus = "fine"                | concerns.shop.status            | is no status
        url = "http://a"\nstatus = [200, 99]             | concerns.shop.status[1]         | between 100 and 599
        url = "http://a"\nmethod = "DELETE"              | concerns.shop.method            | "DELETE"
        url = "http://a"\ntimeout = 5                    | concerns.shop.timeout           | a duration with its unit
        url = "http://a"\nalert_after = 0                | concerns.shop.alert_after       | 1 to 1000
        url = "http://a"\nca_file = "ca.pem"             | concerns.shop.ca_file           | is a relative path
        url = "http://a"\nalert = { after = 3 }          | concerns.shop.alert             | not available
        url = "http://a"\nnotify = "ops"                 | concerns.shop.notify            | a table
        url = "http://a"\nnotify = { webhook = "ops" }   | concerns.shop.notify.webhook    | is no URL
        url = "http://a"\nnotify = {}                    | concerns.shop.notify.webhook    | `webhook` is missing
    "#;
    for row in table.lines().filter(|row| !row.trim().is_empty()) {
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        let problem = only_problem(&patrol(&cells[0].replace("\\n", "\n")), &[]);
        assert_eq!(problem["key"], cells[1], "{row}: {problem}");
        let said = problem["message"].as_str().unwrap_or_default();
        assert!(said.contains(cells[2]), "{row}: {said:?}");
    }
}
