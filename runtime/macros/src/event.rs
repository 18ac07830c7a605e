//! `#[derive(Event)]`: the enum as its author meant it, checked.
//!
//! `check` holds what two parts of the enum may get wrong together, `codegen` writes the impl. Both
//! take the model of this file, so that neither looks at syntax.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Field, Fields, Ident, LitStr, Type};

use crate::attr::{self, EnumAttrs, OldVersion, VariantAttrs, Version};
use crate::case::snake_case;
use crate::errors::Errors;

mod check;
mod codegen;
#[cfg(test)]
mod tests;

/// An event enum.
struct EventEnum {
    ident: Ident,
    variants: Vec<Variant>,
}

/// One event.
struct Variant {
    ident: Ident,
    name: String,
    version: Version,
    /// Former names.
    was: Vec<LitStr>,
    /// Older versions.
    from: Vec<OldVersion>,
    shape: Shape,
}

/// What a variant holds.
enum Shape {
    /// `Name(Type)`, stored as the type itself.
    Newtype {
        ty: Box<Type>,
        /// Whether it gets a `From<Type>`.
        from: bool,
    },
    /// `Name { .. }` or `Name`, stored as a map of its fields or an empty one.
    Fields(Vec<NamedField>),
}

/// A field of `Name { .. }`.
struct NamedField {
    ident: Ident,
    ty: Type,
    /// Its `#[serde(...)]`, which go where the field goes.
    serde: Vec<Attribute>,
}

/// # Errors
/// Everything that is wrong with the item, in words for its author.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let model = EventEnum::read(input)?;
    check::check(&model)?;
    Ok(codegen::expand(&model))
}

impl EventEnum {
    fn read(input: &DeriveInput) -> syn::Result<Self> {
        let data = enum_data(input)?;
        let mut errors = Errors::default();
        errors.keep(refuse_serde(&input.attrs));
        let attrs = errors
            .keep(EnumAttrs::parse(&input.attrs))
            .unwrap_or_default();
        let prefix = attrs
            .prefix
            .map_or_else(String::new, |prefix| prefix.value());
        let read = |variant| errors.keep(Variant::read(variant, &prefix));
        let variants = data.variants.iter().filter_map(read).collect();
        errors.finish()?;
        Ok(Self {
            ident: input.ident.clone(),
            variants,
        })
    }
}

impl Variant {
    fn read(variant: &syn::Variant, prefix: &str) -> syn::Result<Self> {
        refuse_serde(&variant.attrs)?;
        let attrs = VariantAttrs::parse(&variant.attrs)?;
        let ident = variant.ident.clone();
        let shape = Shape::read(variant, attrs.no_from)?;
        let name = attrs.name.map_or_else(
            || format!("{prefix}{}", snake_case(&ident.unraw().to_string())),
            |name| name.value(),
        );
        let version = attrs.version.unwrap_or(Version {
            number: 1,
            span: ident.span(),
        });
        let was = attrs.was.unwrap_or_default();
        let from = attrs.from.unwrap_or_default();
        Ok(Self {
            ident,
            name,
            version,
            was,
            from,
            shape,
        })
    }
}

impl Shape {
    fn read(variant: &syn::Variant, no_from: Option<Span>) -> syn::Result<Self> {
        for field in &variant.fields {
            let text = "`#[event(...)]` has no meaning on a field: write it above the variant";
            attr::refuse(&field.attrs, "event", text)?;
        }
        match (&variant.fields, no_from) {
            (Fields::Unnamed(fields), _) => {
                let mut types = fields.unnamed.iter();
                match (types.next(), types.next()) {
                    (Some(field), None) => Self::newtype(field, no_from),
                    _ => Err(tuple_error(variant)),
                }
            }
            (Fields::Named(_) | Fields::Unit, Some(span)) => {
                let text = "only `Name(Type)` gets a `From`: delete `no_from`";
                Err(Error::new(span, text))
            }
            (Fields::Named(_) | Fields::Unit, None) => Ok(Self::Fields(
                variant.fields.iter().filter_map(NamedField::read).collect(),
            )),
        }
    }

    fn newtype(field: &Field, no_from: Option<Span>) -> syn::Result<Self> {
        let text = "`Name(Type)` is stored as the type itself: write `#[serde(...)]` on that type";
        attr::refuse(&field.attrs, "serde", text)?;
        Ok(Self::Newtype {
            ty: Box::new(field.ty.clone()),
            from: no_from.is_none(),
        })
    }
}

impl NamedField {
    fn read(field: &Field) -> Option<Self> {
        let serde = field
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("serde"));
        Some(Self {
            ident: field.ident.clone()?,
            ty: field.ty.clone(),
            serde: serde.cloned().collect(),
        })
    }
}

fn enum_data(input: &DeriveInput) -> syn::Result<&DataEnum> {
    let not_an_enum = match &input.data {
        Data::Enum(data) if input.generics.params.is_empty() => return Ok(data),
        Data::Enum(_) => {
            let text = "events cannot be generic, since one name stands for one shape: \
                        write the types out";
            return Err(Error::new(input.generics.span(), text));
        }
        Data::Struct(data) => data.struct_token.span,
        Data::Union(data) => data.union_token.span,
    };
    let text = "events are the variants of an enum: write `enum` here, \
                and each thing that can happen as a variant";
    Err(Error::new(not_an_enum, text))
}

fn refuse_serde(attrs: &[Attribute]) -> syn::Result<()> {
    let text = "`#[serde(...)]` has no meaning here: write it on a field, \
                or write the variant as `Name(Type)` and put it on that type";
    attr::refuse(attrs, "serde", text)
}

fn tuple_error(variant: &syn::Variant) -> Error {
    let name = &variant.ident;
    let text = if variant.fields.is_empty() {
        format!("an event without fields has no parentheses: write `{name}`")
    } else {
        format!(
            "the fields of an event are stored by name: write `{name} {{ a: A, b: B }}`, \
             or `{name}(Type)` with a struct of its own"
        )
    };
    Error::new(variant.fields.span(), text)
}
