//! Settings with a few named values. The main item is [`choices`].

/// Declares an enum together with the name of each variant, which serde, the schema and `as_str`
/// use.
macro_rules! choices {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $(#[$first_attribute:meta])* $first:ident = $first_text:literal,
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $(#[$first_attribute])*
            #[serde(rename = $first_text)]
            $first,
            $($(#[$variant_attribute])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant,)*];

            /// Its name in the configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl actix_pyproc_actors::setting::Settable for $name {
            const SCHEMA: &'static str =
                concat!("{\"enum\": [\"", $first_text, "\"", $(", \"", $text, "\"",)* "]}");
        }
    };
}

pub(crate) use choices;
