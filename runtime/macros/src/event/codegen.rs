//! The impl of `Event`, and the helpers that give its variants their stored form.
//!
//! Everything stands in a `const _` block, so that helpers have no name outside. serde does the work:
//! * written through one helper enum that mirrors the original (`remote`) without a tag. serde then
//!   takes the fields where they are, and each variant comes out as if it were a struct of its own.
//! * read through one helper struct for each variant with fields, as the name has already told which.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use super::{EventEnum, NamedField, Shape, Variant};

/// Where the derives of serde find serde.
const SERDE: &str = "::steadfast::__private::serde";

/// All that is generated for one enum.
pub(super) fn expand(model: &EventEnum) -> TokenStream {
    let EventEnum { ident, variants } = model;
    let written = written(model);
    let readers = variants.iter().filter_map(reader);
    let froms = variants.iter().filter_map(|variant| from(ident, variant));
    let name_and_version = name_and_version(variants);
    let encode = encode();
    let decode = decode(variants);
    quote! {
        const _: () = {
            #written
            #(#readers)*
            #[automatically_derived]
            impl ::steadfast::Event for #ident {
                #name_and_version
                #encode
                #decode
            }
            #(#froms)*
        };
    }
}

/// `__Written(&event)`, which serialises as the fields of the event.
fn written(model: &EventEnum) -> TokenStream {
    let ident = &model.ident;
    let remote = ident.to_string();
    let variants = model.variants.iter().map(|variant| {
        let name = &variant.ident;
        match &variant.shape {
            Shape::Newtype { ty, .. } => quote!(#name(#ty)),
            Shape::Fields(fields) => {
                let fields = fields.iter().map(NamedField::declare);
                quote!(#name { #(#fields),* })
            }
        }
    });
    quote! {
        #[derive(::steadfast::__private::serde::Serialize)]
        #[serde(crate = #SERDE, remote = #remote, untagged)]
        enum __Mirror { #(#variants),* }

        struct __Written<'a>(&'a #ident);

        #[automatically_derived]
        impl ::steadfast::__private::serde::Serialize for __Written<'_> {
            fn serialize<S: ::steadfast::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                __Mirror::serialize(self.0, serializer)
            }
        }
    }
}

/// The struct that a variant with fields, or without any, is read as.
fn reader(variant: &Variant) -> Option<TokenStream> {
    let Shape::Fields(fields) = &variant.shape else {
        return None;
    };
    let reader = variant.reader();
    let fields = fields.iter().map(NamedField::declare);
    Some(quote! {
        #[derive(::steadfast::__private::serde::Deserialize)]
        #[serde(crate = #SERDE)]
        struct #reader { #(#fields),* }
    })
}

fn from(ident: &Ident, variant: &Variant) -> Option<TokenStream> {
    let Shape::Newtype { ty, from: true } = &variant.shape else {
        return None;
    };
    let name = &variant.ident;
    Some(quote! {
        #[automatically_derived]
        impl ::core::convert::From<#ty> for #ident {
            fn from(event: #ty) -> Self {
                Self::#name(event)
            }
        }
    })
}

fn name_and_version(variants: &[Variant]) -> TokenStream {
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let names = variants.iter().map(|variant| &variant.name);
    let versions = variants.iter().map(|variant| variant.version.number);
    quote! {
        fn name(&self) -> &'static str {
            match *self { #(Self::#idents { .. } => #names),* }
        }

        fn version(&self) -> u32 {
            match *self { #(Self::#idents { .. } => #versions),* }
        }
    }
}

fn encode() -> TokenStream {
    quote! {
        fn encode(
            &self,
        ) -> ::core::result::Result<::std::vec::Vec<u8>, ::steadfast::EventError> {
            ::steadfast::__private::rmp_serde::to_vec_named(&__Written(self)).map_err(|source| {
                ::steadfast::EventError::Encode {
                    name: ::steadfast::Event::name(self),
                    source,
                }
            })
        }

        fn to_json(
            &self,
        ) -> ::core::result::Result<
            ::steadfast::__private::serde_json::Value,
            ::steadfast::__private::serde_json::Error,
        > {
            ::steadfast::__private::serde_json::to_value(__Written(self))
        }
    }
}

fn decode(variants: &[Variant]) -> TokenStream {
    let arms = variants.iter().map(arms);
    let data = if variants.is_empty() {
        quote!(_)
    } else {
        quote!(data)
    };
    quote! {
        fn decode(
            name: &str,
            version: u32,
            #data: &[u8],
        ) -> ::core::result::Result<Self, ::steadfast::EventError> {
            let known: ::core::option::Option<
                ::core::result::Result<Self, ::steadfast::__private::rmp_serde::decode::Error>,
            > = match (name, version) {
                #(#arms)*
                _ => ::core::option::Option::None,
            };
            match known {
                ::core::option::Option::Some(decoded) => {
                    decoded.map_err(|source| ::steadfast::EventError::Decode {
                        name: ::std::string::String::from(name),
                        version,
                        source,
                    })
                }
                ::core::option::Option::None => {
                    ::core::result::Result::Err(::steadfast::EventError::Unknown {
                        name: ::std::string::String::from(name),
                        version,
                    })
                }
            }
        }
    }
}

/// One arm for the current version of a variant, and one for each older.
fn arms(variant: &Variant) -> TokenStream {
    let name = &variant.name;
    let was = &variant.was;
    let version = variant.version.number;
    let current = read_current(variant);
    let old = variant.from.iter().map(|old| {
        let version = old.version.number;
        let read = read_old(variant, &old.ty);
        quote!((#name #(| #was)*, #version) => ::core::option::Option::Some(#read),)
    });
    quote! {
        (#name #(| #was)*, #version) => ::core::option::Option::Some(#current),
        #(#old)*
    }
}

/// Bytes of the current version.
fn read_current(variant: &Variant) -> TokenStream {
    let ident = &variant.ident;
    match &variant.shape {
        Shape::Newtype { ty, .. } => {
            let read = read(ty);
            quote!(#read.map(Self::#ident))
        }
        Shape::Fields(fields) => {
            let reader = variant.reader();
            let read = read(&reader);
            let fields: Vec<_> = fields.iter().map(|field| &field.ident).collect();
            quote!(#read.map(|#reader { #(#fields),* }| Self::#ident { #(#fields),* }))
        }
    }
}

/// Bytes of an older version, as what they were, then as what they are.
fn read_old(variant: &Variant, old: &Type) -> TokenStream {
    let read = read(old);
    let ident = &variant.ident;
    match &variant.shape {
        Shape::Newtype { ty, .. } => {
            let into = quote_spanned!(old.span()=> <#old as ::core::convert::Into<#ty>>::into);
            quote!(#read.map(|old| Self::#ident(#into(old))))
        }
        Shape::Fields(_) => {
            let into = quote_spanned!(old.span()=> <#old as ::core::convert::Into<Self>>::into);
            quote!(#read.map(#into))
        }
    }
}

/// The span lets a type that cannot be deserialised be underlined where its author wrote it.
fn read(ty: &(impl quote::ToTokens + Spanned)) -> TokenStream {
    quote_spanned!(ty.span()=> ::steadfast::__private::rmp_serde::from_slice::<#ty>(data))
}

impl Variant {
    /// The name of its helper struct.
    fn reader(&self) -> Ident {
        format_ident!("__Read{}", self.ident)
    }
}

impl NamedField {
    fn declare(&self) -> TokenStream {
        let Self { ident, ty, serde } = self;
        quote!(#(#serde)* #ident: #ty)
    }
}
