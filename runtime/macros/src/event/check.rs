//! Mistakes that show only when parts of the enum are seen together.
//!
//! Invariant: after these checks a name and a version lead to one way of reading, and a type to one
//! `From`.

use std::collections::HashMap;

use proc_macro2::Span;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, Ident};

use super::{EventEnum, Shape, Variant};
use crate::attr::Version;
use crate::errors::Errors;

/// # Errors
/// All of them.
pub(super) fn check(model: &EventEnum) -> syn::Result<()> {
    let mut errors = Errors::default();
    old_versions_are_old(model, &mut errors);
    names_are_unique(model, &mut errors);
    froms_are_unique(model, &mut errors);
    errors.finish()
}

fn old_versions_are_old(model: &EventEnum, errors: &mut Errors) {
    for variant in &model.variants {
        let current = variant.version.number;
        for old in variant
            .from
            .iter()
            .filter(|old| old.version.number >= current)
        {
            let text = format!(
                "`{}` is at version {current}, and `from` takes the versions before it: \
                 write `version = {}`",
                variant.ident,
                old.version.number.saturating_add(1),
            );
            errors.push(Error::new(old.version.span, text));
        }
    }
}

fn names_are_unique(model: &EventEnum, errors: &mut Errors) {
    let mut taken: HashMap<(String, u32), &Ident> = HashMap::new();
    for variant in &model.variants {
        for Reading {
            name,
            version,
            span,
        } in readings(variant)
        {
            match taken.insert((name.clone(), version), &variant.ident) {
                Some(other) if other == &variant.ident => {
                    let text = format!("`{name}` version {version} is here twice: delete one");
                    errors.push(Error::new(span, text));
                }
                Some(other) => {
                    let text = format!(
                        "`{name}` version {version} is already `{other}`: \
                         write `#[event(name = \"...\")]` with another name, or another version",
                    );
                    errors.push(Error::new(variant.ident.span(), text));
                }
                None => {}
            }
        }
    }
}

/// A name and version that is read as some variant, and the token it comes from.
struct Reading {
    name: String,
    version: u32,
    span: Span,
}

/// Current name and former ones, each with the current version and the older ones.
fn readings(variant: &Variant) -> impl Iterator<Item = Reading> {
    let former = variant
        .was
        .iter()
        .map(|was| (was.value(), Some(was.span())));
    std::iter::once((variant.name.clone(), None))
        .chain(former)
        .flat_map(|(name, name_span)| {
            versions(variant).map(move |Version { number, span }| Reading {
                name: name.clone(),
                version: number,
                span: name_span.unwrap_or(span),
            })
        })
}

/// The current version and the older ones. One that is not older has its own error.
fn versions(variant: &Variant) -> impl Iterator<Item = Version> {
    let old = variant.from.iter().map(|old| old.version);
    let older = old.filter(|old| old.number < variant.version.number);
    std::iter::once(variant.version).chain(older)
}

fn froms_are_unique(model: &EventEnum, errors: &mut Errors) {
    let mut taken: HashMap<String, &Ident> = HashMap::new();
    for variant in &model.variants {
        let Shape::Newtype { ty, from: true } = &variant.shape else {
            continue;
        };
        if let Some(other) = taken.insert(quote!(#ty).to_string(), &variant.ident) {
            let text = format!(
                "`{other}` holds this type too, and it can become only one of them: \
                 write `#[event(no_from)]` above one",
            );
            errors.push(Error::new(ty.span(), text));
        }
    }
}
