//! Values that nobody is shown who only wants to know what changes.

use serde_json::Value;

/// What stands in the place of a secret.
const HIDDEN: &str = "(secret)";
/// Parts of keys whose values are secrets.
const WORDS: [&str; 10] = [
    "token",
    "passw",
    "secret",
    "authorization",
    "api_key",
    "apikey",
    "credential",
    "cookie",
    "header",
    "webhook",
];

/// The value of a dotted key as it may be shown: without secrets, also without those inside it and those
/// of a URL with a user.
pub(super) fn masked(key: &str, value: &Value) -> Value {
    let key = key.to_ascii_lowercase();
    if WORDS.iter().any(|word| key.contains(word)) && !value.is_null() {
        return Value::from(HIDDEN);
    }
    match value {
        Value::String(text) => Value::from(without_user(text)),
        Value::Array(items) => items.iter().map(|item| masked("", item)).collect(),
        Value::Object(entries) => {
            let shown = entries
                .iter()
                .map(|(name, value)| (name.clone(), masked(name, value)));
            Value::Object(shown.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A URL without the user and password in it; any other text as it is.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{path}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let hidden = json!(HIDDEN);
        for key in [
            "notify.ops.webhook",
            "to.Header.x",
            "env.DB_PASSWORD",
            "token",
        ] {
            assert_eq!(masked(key, &json!("abc")), hidden, "{key}");
        }
        assert_eq!(masked("token", &Value::Null), Value::Null);
        let checks = json!([{ "url": "https://me:pw@host/x?y=@", "header": {"a": "b"}, "n": 1 }]);
        let expected = json!([{ "url": "https://(secret)@host/x?y=@", "header": HIDDEN, "n": 1 }]);
        assert_eq!(masked("checks", &checks), expected);
        assert_eq!(
            masked("url", &json!("http://host/@a")),
            json!("http://host/@a")
        );
    }
}
