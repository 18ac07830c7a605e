//! Names from Rust names.
//!
//! Invariant: the result is stored with every event, so this function never changes.

/// `HTTPServerV2Started` becomes `http_server_v2_started`.
///
/// A word starts at a capital that follows a small letter or a digit, and at the last capital of a row
/// of them that a small letter follows. Digits start no word.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before: Option<char> = None;
    let mut rest = name.chars().peekable();
    while let Some(letter) = rest.next() {
        let ends_a_row = rest.peek().is_some_and(|next| next.is_lowercase());
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|b| b != '_' && (!b.is_uppercase() || ends_a_row));
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        before = Some(letter);
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(snake_case(name), expected);
    }

    #[test]
    fn words_start_at_capitals() {
        check("Opened", "opened");
        check("MoneyWithdrawn", "money_withdrawn");
        check("AThing", "a_thing");
        check("A", "a");
        check("", "");
    }

    #[test]
    fn a_row_of_capitals_is_one_word() {
        check("HTTPServerStarted", "http_server_started");
        check("SentToAPI", "sent_to_api");
        check("ID", "id");
    }

    #[test]
    fn digits_belong_to_the_word_before() {
        check("OpenedV2", "opened_v2");
        check("V2Opened", "v2_opened");
        check("Sha256Computed", "sha256_computed");
    }

    #[test]
    fn underscores_are_kept_and_not_doubled() {
        check("Money_Withdrawn", "money_withdrawn");
        check("already_snake", "already_snake");
    }

    #[test]
    fn letters_beyond_ascii() {
        check("ÖffnenÜben", "öffnen_üben");
    }
}
