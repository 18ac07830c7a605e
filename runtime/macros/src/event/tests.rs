//! What an event enum may be, and in which words the rest is refused.
//!
//! What the generated code *does* is tested where it can be compiled: `runtime/tests/derive.rs`.

use super::*;

fn derived(item: &str) -> syn::Result<String> {
    let input = syn::parse_str(item).unwrap();
    derive(&input).map(|tokens| tokens.to_string().replace(' ', ""))
}

/// Each part is in one of the errors, and there are no others.
#[track_caller]
fn refused(item: &str, parts: &[&str]) {
    let errors = derived(item).expect_err("this is accepted").into_iter();
    let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), parts.len(), "{errors:?}");
    for (error, part) in errors.iter().zip(parts) {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn only_a_plain_enum_holds_events() {
    refused("struct Opened;", &["write `enum` here"]);
    refused("union U { a: u8 }", &["write `enum` here"]);
    refused("enum E<T> { A(T) }", &["events cannot be generic"]);
    refused(
        "enum E<'a> { A { a: &'a str } }",
        &["events cannot be generic"],
    );
    assert!(derived("enum Nothing {}").is_ok());
}

#[test]
fn names_come_from_prefix_and_variant() {
    let code = derived("#[event(prefix = \"account.\")] enum E { OpenedAgain, r#Closed }").unwrap();
    assert!(code.contains("=>\"account.opened_again\""), "{code}");
    assert!(code.contains("=>\"account.closed\""), "{code}");
    let code = derived("enum E { #[event(name = \"x\")] Opened }").unwrap();
    assert!(
        code.contains("=>\"x\"") && !code.contains("opened"),
        "{code}"
    );
}

#[test]
fn an_explicit_name_takes_no_prefix() {
    let code = derived("#[event(prefix = \"a.\")] enum E { #[event(name = \"b.x\")] Opened }");
    assert!(code.unwrap().contains("=>\"b.x\""));
}

#[test]
fn tuples_say_what_to_write() {
    refused("enum E { A() }", &["write `A`"]);
    refused(
        "enum E { A(u8, u8) }",
        &["write `A { a: A, b: B }`, or `A(Type)`"],
    );
    refused(
        "enum E { #[event(no_from)] A(u8, u8) }",
        &["write `A { a: A, b: B }`"],
    );
}

#[test]
fn every_mistake_is_shown_at_once() {
    refused(
        "#[event(prefx = \"a.\")] enum E { A(), #[event(version = 0)] B, C }",
        &["takes only `prefix`", "write `A`", "versions start at 1"],
    );
}

#[test]
fn a_name_and_version_lead_to_one_variant() {
    let twice = "`a` version 1 is already `A`";
    refused("enum E { A, #[event(name = \"a\")] B }", &[twice]);
    refused("enum E { A, #[event(was = [\"a\"])] B }", &[twice]);
    refused(
        "enum E { A, #[event(name = \"a\", version = 2, from(1 = Old))] B }",
        &[twice],
    );
    assert!(derived("enum E { A, #[event(name = \"a\", version = 2)] B }").is_ok());
}

#[test]
fn a_variant_does_not_repeat_itself() {
    refused(
        "enum E { #[event(was = [\"a\"])] A }",
        &["`a` version 1 is here twice"],
    );
    refused(
        "enum E { #[event(was = [\"b\", \"b\"])] A }",
        &["`b` version 1 is here twice"],
    );
    refused(
        "enum E { #[event(version = 2, from(1 = X, 1 = Y))] A }",
        &["version 1 is here twice"],
    );
}

#[test]
fn old_versions_are_old() {
    refused(
        "enum E { #[event(from(1 = X))] A }",
        &["write `version = 2`"],
    );
    refused(
        "enum E { #[event(version = 2, from(1 = X, 4 = Y))] A }",
        &["write `version = 5`"],
    );
}

#[test]
fn one_type_becomes_one_variant() {
    refused(
        "enum E { A(x::T<u8>), B(x::T<u8>), C(x::T<u16>) }",
        &["`A` holds this type too"],
    );
    let code = derived("enum E { A(T), #[event(no_from)] B(T) }").unwrap();
    assert_eq!(code.matches("::From<T>").count(), 1, "{code}");
    refused(
        "enum E { #[event(no_from)] A { a: u8 } }",
        &["delete `no_from`"],
    );
}

#[test]
fn attributes_stand_where_they_are_read() {
    refused(
        "enum E { A { #[event(name = \"a\")] a: u8 } }",
        &["above the variant"],
    );
    refused(
        "enum E { A(#[event(name = \"a\")] T) }",
        &["above the variant"],
    );
    refused(
        "#[serde(tag = \"t\")] enum E { A }",
        &["write it on a field"],
    );
    refused(
        "enum E { #[serde(rename_all = \"UPPERCASE\")] A }",
        &["write it on a field"],
    );
    refused(
        "enum E { A(#[serde(default)] T) }",
        &["write `#[serde(...)]` on that type"],
    );
}

#[test]
fn serde_attributes_go_to_both_helpers() {
    let code = derived("enum E { A { #[serde(default)] #[doc = \"x\"] a: u8 } }").unwrap();
    assert_eq!(code.matches("#[serde(default)]a:u8").count(), 2, "{code}");
    assert!(!code.contains("doc="), "{code}");
}
