//! `#[derive(Command)]`: from the item to the impl.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields};

use crate::attr::{self, CommandAttrs};
use crate::case::snake_case;

#[cfg(test)]
mod tests;

/// # Errors
/// What is wrong with the item, in words for its author.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    check_shape(input)?;
    let CommandAttrs {
        name,
        reply,
        rejection,
    } = CommandAttrs::parse(&input.attrs)?;
    let ident = &input.ident;
    let name = name.map_or_else(
        || snake_case(&ident.unraw().to_string()),
        |name| name.value(),
    );
    let reply = reply.map_or_else(|| quote!(()), |ty| quote!(#ty));
    let rejection = rejection.map_or_else(|| quote!(::steadfast::Never), |ty| quote!(#ty));
    Ok(quote! {
        #[automatically_derived]
        impl ::steadfast::Command for #ident {
            const NAME: &'static str = #name;
            type Reply = #reply;
            type Rejection = #rejection;
        }
    })
}

fn check_shape(input: &DeriveInput) -> syn::Result<()> {
    if !input.generics.params.is_empty() {
        let text = "a command cannot be generic, since one name stands for one shape: \
                    write a type for each use";
        return Err(Error::new(input.generics.span(), text));
    }
    match &input.data {
        Data::Struct(data) => check_fields(&data.fields),
        Data::Enum(data) => data.variants.iter().try_for_each(|variant| {
            check_attrs(&variant.attrs)?;
            check_fields(&variant.fields)
        }),
        Data::Union(data) => {
            let text = "a union cannot be a command: write a struct or an enum";
            Err(Error::new(data.union_token.span, text))
        }
    }
}

fn check_fields(fields: &Fields) -> syn::Result<()> {
    fields
        .iter()
        .try_for_each(|field| check_attrs(&field.attrs))
}

fn check_attrs(attrs: &[Attribute]) -> syn::Result<()> {
    let text = "`#[command(...)]` has no meaning here: write it above the struct or enum";
    attr::refuse(attrs, "command", text)
}
