//! What the attributes accept, and in which words they refuse the rest.

use syn::parse::Parser;

use super::*;

/// The attributes written above an item.
fn attributes(text: &str) -> Vec<Attribute> {
    let tokens = text.parse().unwrap();
    Attribute::parse_outer.parse2(tokens).unwrap()
}

fn variant(text: &str) -> syn::Result<VariantAttrs> {
    VariantAttrs::parse(&attributes(text))
}

fn container(text: &str) -> syn::Result<EnumAttrs> {
    EnumAttrs::parse(&attributes(text))
}

fn command(text: &str) -> syn::Result<CommandAttrs> {
    CommandAttrs::parse(&attributes(text))
}

#[track_caller]
fn refused<T>(result: syn::Result<T>, part: &str) {
    let error = result.err().expect("this is accepted").to_string();
    assert!(error.contains(part), "{error:?} does not say {part:?}");
}

#[test]
fn a_variant_takes_all_keys_together_or_apart() {
    let together = r#"#[event(name = "a.b", version = 3, from(1 = V1, 2 = old::V2<u8>), was = ["c"], no_from)]"#;
    let apart = r#"#[event(name = "a.b")] #[doc = "x"] #[event(version = 3)]
        #[event(from(1 = V1, 2 = old::V2<u8>,))] #[event(was = ["c",])] #[event(no_from)]"#;
    for text in [together, apart] {
        let attrs = variant(text).unwrap();
        assert_eq!(attrs.name.unwrap().value(), "a.b");
        assert_eq!(attrs.version.unwrap().number, 3);
        assert_eq!(attrs.was.unwrap()[0].value(), "c");
        assert!(attrs.no_from.is_some());
        let from = attrs.from.unwrap();
        let versions: Vec<u32> = from.iter().map(|old| old.version.number).collect();
        assert_eq!(versions, [1, 2]);
    }
}

#[test]
fn nothing_is_required() {
    let attrs = variant("#[doc = \"x\"]").unwrap();
    assert!(attrs.name.is_none() && attrs.version.is_none() && attrs.no_from.is_none());
    assert!(attrs.from.is_none() && attrs.was.is_none());
    assert!(container("").unwrap().prefix.is_none());
}

#[test]
fn unknown_keys_are_refused_with_the_known_ones() {
    refused(variant("#[event(nmae = \"a\")]"), "`version = 2`");
    refused(variant("#[event(prefix = \"a.\")]"), "a variant takes");
    refused(
        container("#[event(name = \"a\")]"),
        "`prefix = \"account.\"`",
    );
    refused(command("#[command(rply = u8)]"), "`reply = Type`");
}

#[test]
fn a_key_is_given_once() {
    refused(variant("#[event(version = 1, version = 2)]"), "twice");
    refused(
        variant("#[event(name = \"a\")] #[event(name = \"b\")]"),
        "twice",
    );
    refused(variant("#[event(no_from, no_from)]"), "twice");
    refused(command("#[command(reply = u8, reply = u8)]"), "twice");
}

#[test]
fn names_can_be_typed_and_read() {
    for wrong in ["\"\"", "\"account opened\"", "\"a\\n\"", "\"a\\u{0}\""] {
        refused(
            variant(&format!("#[event(name = {wrong})]")),
            "no white space",
        );
        refused(
            variant(&format!("#[event(was = [{wrong}])]")),
            "no white space",
        );
        refused(
            container(&format!("#[event(prefix = {wrong})]")),
            "no white space",
        );
        refused(
            command(&format!("#[command(name = {wrong})]")),
            "no white space",
        );
    }
}

#[test]
fn a_prefix_ends_with_its_separator() {
    refused(
        container("#[event(prefix = \"account\")]"),
        "write \"account.\"",
    );
    for fine in ["account.", "account/", "bank.account:", "account_"] {
        let attrs = container(&format!("#[event(prefix = {fine:?})]")).unwrap();
        assert_eq!(attrs.prefix.unwrap().value(), fine);
    }
}

#[test]
fn versions_start_at_one_and_fit() {
    refused(variant("#[event(version = 0)]"), "versions start at 1");
    refused(variant("#[event(from(0 = Old))]"), "versions start at 1");
    refused(variant("#[event(version = 4294967296)]"), "too large");
    refused(variant("#[event(version = \"2\")]"), "expected integer");
    let largest = variant("#[event(version = 4294967295)]").unwrap().version;
    assert_eq!(largest.unwrap().number, u32::MAX);
}

#[test]
fn lists_say_how_they_are_written() {
    refused(variant("#[event(from = Old)]"), "write `from(1 = OldType)`");
    refused(
        variant("#[event(was = \"old\")]"),
        "write `was = [\"old.name\"]`",
    );
    refused(variant("#[event(from(1 Old))]"), "expected `=`");
}

#[test]
fn a_command_takes_types() {
    let text = "#[command(name = \"take\", reply = Vec<(u8, Cents)>, rejection = bank::Overdrawn)]";
    let attrs = command(text).unwrap();
    assert_eq!(attrs.name.unwrap().value(), "take");
    assert!(attrs.reply.is_some() && attrs.rejection.is_some());
}
