//! What becomes of a command, as text: there is no `steadfast` here to compile it with.

use super::*;

fn derived(item: &str) -> syn::Result<String> {
    let input = syn::parse_str(item).unwrap();
    derive(&input).map(|tokens| tokens.to_string().replace(' ', ""))
}

#[track_caller]
fn refused(item: &str, part: &str) {
    let error = derived(item).expect_err("this is accepted").to_string();
    assert!(error.contains(part), "{error:?} does not say {part:?}");
}

#[test]
fn the_defaults_are_the_name_no_reply_and_never() {
    let code = derived("struct CloseAccount;").unwrap();
    assert!(
        code.contains("impl::steadfast::CommandforCloseAccount{"),
        "{code}"
    );
    assert!(
        code.contains("NAME:&'staticstr=\"close_account\";"),
        "{code}"
    );
    assert!(code.contains("typeReply=();"), "{code}");
    assert!(code.contains("typeRejection=::steadfast::Never;"), "{code}");
}

#[test]
fn everything_can_be_said() {
    let code = derived(
        "#[command(name = \"bank.take\", reply = Vec<u8>, rejection = bank::No)] enum Take { A, B }",
    );
    let code = code.unwrap();
    assert!(code.contains("=\"bank.take\";"), "{code}");
    assert!(code.contains("typeReply=Vec<u8>;"), "{code}");
    assert!(code.contains("typeRejection=bank::No;"), "{code}");
}

#[test]
fn a_raw_name_is_a_name() {
    assert!(derived("struct r#Move;").unwrap().contains("=\"move\";"));
}

#[test]
fn what_cannot_be_a_command_says_why() {
    refused("union U { a: u8 }", "write a struct or an enum");
    refused("struct Set<T>(T);", "cannot be generic");
    refused("struct Set<'a>(&'a str);", "cannot be generic");
}

#[test]
fn a_misplaced_attribute_is_no_comment() {
    refused(
        "struct A { #[command(name = \"a\")] a: u8 }",
        "above the struct or enum",
    );
    refused(
        "enum A { #[command(name = \"a\")] B }",
        "above the struct or enum",
    );
    refused(
        "enum A { B { #[command(name = \"a\")] b: u8 } }",
        "above the struct or enum",
    );
}
