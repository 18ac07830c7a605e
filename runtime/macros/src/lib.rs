//! The derives of steadfast: `Event` and `Command`, re-exported by the crate `steadfast`.
//!
//! They are a crate of their own because the compiler asks for it. They write names and versions
//! down, and nothing else: what an event or a command *is* stands in the traits.
//!
//! Every generated path starts at `::steadfast`, so that a user's crate needs no dependency but that.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attr;
mod case;
mod command;
mod errors;
mod event;

/// Derives `Event` for an enum: a stable name, a version and the stored form of each variant.
///
/// ```text
/// #[derive(Event)]
/// #[event(prefix = "account.")]
/// enum AccountEvent {
///     Opened,                                  // "account.opened", stored as an empty map
///     Deposited { amount: u64 },               // stored by field name
///     #[event(version = 2, from(1 = WithdrawnV1))]
///     Withdrawn(Withdrawn),                    // stored as `Withdrawn`; gets `From<Withdrawn>`
/// }
/// ```
///
/// On the enum:
/// * `prefix = "account."` goes before every name that is not given. It ends with a separator.
///
/// On a variant:
/// * `name = "account.withdrawn"`: its whole name. Without it, prefix and variant in `snake_case`.
/// * `version = 2`: the version of its shape, 1 where it is not given.
/// * `from(1 = WithdrawnV1)`: how an older version is read. The old type is `DeserializeOwned`, and
///   `Into` the type inside the variant, or `Into` the enum where the variant has fields or none.
/// * `was = ["account.taken"]`: names it had before. They are read in all its versions, never written.
/// * `no_from`: no `From` for this `Name(Type)`. Needed where two variants hold one type.
///
/// `#[serde(...)]` works on the fields of a variant with named fields, and nowhere else.
#[proc_macro_derive(Event, attributes(event, serde))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    answer(event::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Derives `Command` for a struct or an enum: a stable name, and the types of its answers.
///
/// ```text
/// #[derive(Serialize, Deserialize, Command)]
/// #[command(name = "withdraw", reply = Cents, rejection = Overdrawn)]
/// struct Withdraw { amount: Cents }
/// ```
///
/// * `name`: as it is journalled. Without it, the type in `snake_case`.
/// * `reply`: what it answers, `()` where it is not given.
/// * `rejection`: why it may be refused, `Never` where it is not given.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    answer(command::derive(&parse_macro_input!(input as DeriveInput)))
}

/// The generated code, or the errors in its place.
fn answer(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
