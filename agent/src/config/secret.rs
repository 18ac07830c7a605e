//! Values that nobody is shown who only wants to know what is configured, or what changes.

use serde_json::{Value as Json, json};

/// What stands in place of a secret.
const MASK: &str = "***";

/// The value as it may be shown, without what is not set, without secrets, also those inside it, and without
/// the credentials of URLs; `None` for what is not set. `path` are the names that lead to it, from those of the
/// section on or from those of a concern on.
pub(crate) fn masked(path: &[String], value: Json) -> Option<Json> {
    match value {
        Json::Null => None,
        Json::Array(items) => Some(
            items
                .into_iter()
                .filter_map(|item| masked(path, item))
                .collect(),
        ),
        Json::Object(entries) => {
            let mask = |(name, value): (String, Json)| {
                let path = [path, std::slice::from_ref(&name)].concat();
                masked(&path, value).map(|value| (name, value))
            };
            Some(Json::Object(entries.into_iter().filter_map(mask).collect()))
        }
        Json::String(_) | Json::Number(_) | Json::Bool(_) if is_secret(path) => Some(json!(MASK)),
        Json::String(text) => Some(Json::String(without_credentials(text))),
        value @ (Json::Number(_) | Json::Bool(_)) => Some(value),
    }
}

/// The text of an environment variable as it may be shown. `path` are the names in the variable's own name.
pub(super) fn masked_text(path: &[String], text: &str) -> String {
    if is_secret(path) {
        return MASK.to_owned();
    }
    // A variable can set a whole table or array, with secrets in it.
    let table = toml::from_str::<Json>(&format!("value = {}", text.trim())).ok();
    match table.as_ref().and_then(|table| table.get("value")) {
        Some(value @ (Json::Array(_) | Json::Object(_))) => {
            masked(path, value.clone()).map_or_else(String::new, |value| value.to_string())
        }
        _ => without_credentials(text.to_owned()),
    }
}

/// A URL without the user and password in it; any other text as it is.
fn without_credentials(text: String) -> String {
    let credentials = text.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (secret, host) = authority.rsplit_once('@')?;
        let after = rest.get(secret.len().saturating_add(1).saturating_add(host.len())..)?;
        Some(format!("{scheme}://{MASK}@{host}{after}"))
    });
    credentials.unwrap_or(text)
}

/// Whether the names say that the value is a secret: one of them speaks of one, or stands for what programs
/// and servers are handed. A name of a file that holds one is none, nor is a concern's name.
fn is_secret(path: &[String]) -> bool {
    const TABLES: [&str; 6] = ["env", "environment", "headers", "header", "stdin", "body"];
    const WORDS: [&str; 13] = [
        "api_key",
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "passphrase",
        "passw",
        "private_key",
        "pwd",
        "secret",
        "token",
        "webhook",
    ];
    let names = match path {
        [section, _, keys @ ..] if section == "concerns" => keys,
        all => all,
    };
    // What stands there are names of variables.
    if names.iter().any(|name| name == "headers_env") {
        return false;
    }
    let mut handed = false;
    names.iter().any(|name| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        handed |= TABLES.contains(&name.as_str());
        let is_place = ["_file", "_path", "_dir"]
            .iter()
            .any(|end| name.ends_with(end));
        handed || (!is_place && WORDS.iter().any(|word| name.contains(word)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        for key in [
            "notify.ops.webhook",
            "headers.x",
            "concerns.n.env.DB",
            "concerns.n.env.KEY_FILE",
            "concerns.n.stdin",
            "token",
            "node.labels.DB_PASSWD",
        ] {
            assert_eq!(masked(&path(key), json!("abc")), Some(json!(MASK)), "{key}");
            assert_eq!(masked_text(&path(key), "abc"), MASK, "{key}");
        }
        for key in ["concerns.token-sweep.every", "token_file", "env_keep"] {
            assert_eq!(masked(&path(key), json!("abc")), Some(json!("abc")));
        }
        assert_eq!(masked(&path("token"), Json::Null), None);
        let checks = json!([{ "url": "https://me:pw@host/x?y=@", "headers": {"a": "b"}, "n": 1 }]);
        let expected = json!([{ "url": "https://***@host/x?y=@", "headers": {"a": MASK}, "n": 1 }]);
        assert_eq!(masked(&path("checks"), checks), Some(expected));
        assert_eq!(
            masked(&path("url"), json!("http://host/@a")),
            Some(json!("http://host/@a"))
        );
    }

    #[test]
    fn a_variable_that_is_a_table_hides_the_secrets_in_it() {
        let shown = masked_text(
            &path("concerns.n.targets"),
            "[{ url = \"https://me:pw@host\", headers = { a = \"hush\" } }]",
        );
        assert!(!shown.contains("hush") && !shown.contains("pw"), "{shown}");
        assert!(shown.contains("host"), "{shown}");
    }

    #[test]
    fn the_name_of_a_variable_is_no_secret() {
        assert!(!is_secret(&path("concerns.shop.headers_env.Authorization")));
        assert!(!is_secret(&path(
            "concerns.shop.notify.headers_env.X-Token"
        )));
        assert!(is_secret(&path("concerns.shop.headers.Authorization")));
        assert!(is_secret(&path("concerns.headers_env.notify.webhook")));
    }
}
