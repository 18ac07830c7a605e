//! The attributes `#[event(...)]` and `#[command(...)]` as they are written.
//!
//! Only what can be judged by looking at one attribute is judged here: known keys, each once, names
//! and versions that can be stored. What depends on the variant they stand on is in `event`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, LitInt, LitStr, Token, Type, bracketed, parenthesized};

#[cfg(test)]
mod tests;

/// `#[event(...)]` on the enum.
#[derive(Default)]
pub(crate) struct EnumAttrs {
    pub(crate) prefix: Option<LitStr>,
}

/// `#[event(...)]` on a variant.
#[derive(Default)]
pub(crate) struct VariantAttrs {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<Version>,
    pub(crate) from: Option<Vec<OldVersion>>,
    pub(crate) was: Option<Vec<LitStr>>,
    /// Where `no_from` stands, for the error if it should not.
    pub(crate) no_from: Option<Span>,
}

/// `#[command(...)]`.
#[derive(Default)]
pub(crate) struct CommandAttrs {
    pub(crate) name: Option<LitStr>,
    pub(crate) reply: Option<Type>,
    pub(crate) rejection: Option<Type>,
}

/// A version, from 1, and where it is written.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) span: Span,
}

/// `1 = WithdrawnV1` inside `from(...)`.
pub(crate) struct OldVersion {
    pub(crate) version: Version,
    pub(crate) ty: Type,
}

impl EnumAttrs {
    pub(crate) fn parse(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each_key(attrs, "event", |meta| {
            if meta.path.is_ident("prefix") {
                let prefix = prefix(meta.value()?.parse()?)?;
                set(&mut found.prefix, meta, prefix)
            } else {
                Err(meta.error("an event enum takes only `prefix`: write `prefix = \"account.\"`"))
            }
        })?;
        Ok(found)
    }
}

impl VariantAttrs {
    pub(crate) fn parse(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each_key(attrs, "event", |meta| found.key(meta))?;
        Ok(found)
    }

    fn key(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let path = &meta.path;
        if path.is_ident("name") {
            let name = name(meta.value()?.parse()?)?;
            set(&mut self.name, meta, name)
        } else if path.is_ident("version") {
            let version = meta.value()?.parse()?;
            set(&mut self.version, meta, version)
        } else if path.is_ident("from") {
            let versions = old_versions(meta)?;
            set(&mut self.from, meta, versions)
        } else if path.is_ident("was") {
            let names = former_names(meta)?;
            set(&mut self.was, meta, names)
        } else if path.is_ident("no_from") {
            set(&mut self.no_from, meta, path.span())
        } else {
            Err(meta.error(
                "a variant takes `name = \"...\"`, `version = 2`, `from(1 = OldType)`, \
                 `was = [\"...\"]` and `no_from`: write one of these",
            ))
        }
    }
}

impl CommandAttrs {
    pub(crate) fn parse(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        each_key(attrs, "command", |meta| {
            let path = &meta.path;
            if path.is_ident("name") {
                let name = name(meta.value()?.parse()?)?;
                set(&mut found.name, meta, name)
            } else if path.is_ident("reply") {
                let reply = meta.value()?.parse()?;
                set(&mut found.reply, meta, reply)
            } else if path.is_ident("rejection") {
                let rejection = meta.value()?.parse()?;
                set(&mut found.rejection, meta, rejection)
            } else {
                Err(meta.error(
                    "a command takes `name = \"...\"`, `reply = Type` and `rejection = Type`: \
                     write one of these",
                ))
            }
        })?;
        Ok(found)
    }
}

impl Parse for Version {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let literal: LitInt = input.parse()?;
        match literal.base10_parse()? {
            0 => Err(syn::Error::new(
                literal.span(),
                "versions start at 1: write `1` or more",
            )),
            number => Ok(Self {
                number,
                span: literal.span(),
            }),
        }
    }
}

impl Parse for OldVersion {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let version = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self {
            version,
            ty: input.parse()?,
        })
    }
}

/// # Errors
/// An attribute that stands where it would be ignored.
pub(crate) fn refuse(attrs: &[Attribute], key: &str, text: &str) -> syn::Result<()> {
    match attrs.iter().find(|attr| attr.path().is_ident(key)) {
        Some(attr) => Err(syn::Error::new(attr.path().span(), text)),
        None => Ok(()),
    }
}

/// Calls `read` with each key of each `#[attribute(...)]`.
fn each_key(
    attrs: &[Attribute],
    attribute: &str,
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut ours = attrs.iter().filter(|attr| attr.path().is_ident(attribute));
    ours.try_for_each(|attr| attr.parse_nested_meta(|meta| read(&meta)))
}

fn set<T>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> syn::Result<()> {
    match slot.replace(value) {
        Some(_) => Err(meta.error("this is given twice: keep one")),
        None => Ok(()),
    }
}

fn old_versions(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<OldVersion>> {
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error("old versions stand in parentheses: write `from(1 = OldType)`"));
    }
    let inside;
    parenthesized!(inside in meta.input);
    Ok(Punctuated::<_, Token![,]>::parse_terminated(&inside)?
        .into_iter()
        .collect())
}

fn former_names(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let value = meta.value()?;
    if !value.peek(syn::token::Bracket) {
        return Err(value.error("former names stand in brackets: write `was = [\"old.name\"]`"));
    }
    let inside;
    bracketed!(inside in value);
    Punctuated::<_, Token![,]>::parse_terminated(&inside)?
        .into_iter()
        .map(name)
        .collect()
}

/// A name people type on command lines and read in logs: something, and no white space.
fn name(literal: LitStr) -> syn::Result<LitStr> {
    let text = literal.value();
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let text = "a name has at least one character and no white space: \
                    write one like \"account.opened\"";
        return Err(syn::Error::new(literal.span(), text));
    }
    Ok(literal)
}

/// A prefix without its dot would give names like `accountopened`, and they would be stored.
fn prefix(literal: LitStr) -> syn::Result<LitStr> {
    let prefix = name(literal)?;
    let text = prefix.value();
    if text.ends_with(char::is_alphanumeric) {
        let text = format!("a prefix ends with its separator: write \"{text}.\"");
        return Err(syn::Error::new(prefix.span(), text));
    }
    Ok(prefix)
}
