//! Settings that are declared once, each with its type, default, bounds and documentation. The main
//! item in this module is the macro [`settings!`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::duration;

/// What is declared about a field of a struct of settings.
#[derive(Debug)]
pub struct Setting {
    /// The field's name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Its default, in words; empty for a section.
    pub default: &'static str,
    /// The numbers that it accepts.
    pub bounds: Bounds,
    /// The JSON Schema of its type, without the bounds.
    pub schema: &'static str,
    /// The settings below it, if it is a section.
    pub section: &'static [Setting],
}

/// Which numbers a setting accepts, by the keywords of JSON Schema: `minimum`, `maximum`,
/// `exclusiveMinimum` and `exclusiveMaximum`. A duration counts as its seconds.
pub type Bounds = &'static [(&'static str, f64)];

/// The type of a setting.
pub trait Settable: Clone {
    /// The JSON Schema of its values.
    const SCHEMA: &'static str;

    /// The JSON Schema of its values where the setting is optional.
    const OPTIONAL_SCHEMA: &'static str = Self::SCHEMA;

    /// The settings below it, if it is a section.
    const SECTION: &'static [Setting] = &[];

    /// The number to which bounds apply, if this is one.
    fn number(&self) -> Option<f64> {
        None
    }

    /// Checks the bounds; `key` is the key of this setting.
    ///
    /// # Errors
    /// The key of the first number that is out of bounds, and the bounds in words.
    fn check(&self, key: &str, bounds: Bounds) -> Result<(), (String, String)> {
        let accepts = |number: f64| bounds.iter().all(|(keyword, bound)| rule(keyword).1(&number, bound));
        if self.number().is_none_or(accepts) {
            return Ok(());
        }
        let words = match bounds {
            [("minimum", least), ("maximum", greatest)] => format!("from {least} to {greatest}"),
            _ => {
                let words = bounds.iter().map(|(keyword, bound)| format!("{} {bound}", rule(keyword).0));
                words.collect::<Vec<_>>().join(" and ")
            }
        };
        Err((key.to_owned(), words))
    }

    /// Shortens durations to [`duration::LONGEST`], so that the clock cannot overflow.
    fn clamp_durations(&mut self) {}

    /// Copies the value of a key below this setting; the key is empty for the setting itself.
    fn copy(&mut self, _key: &str, from: &Self) {
        self.clone_from(from);
    }
}

/// A keyword of bounds in words, and as a comparison. NaN passes none.
fn rule(keyword: &str) -> (&'static str, fn(&f64, &f64) -> bool) {
    match keyword {
        "minimum" => ("at least", f64::ge),
        "maximum" => ("at most", f64::le),
        "exclusiveMinimum" => ("above", f64::gt),
        "exclusiveMaximum" => ("below", f64::lt),
        _ => unreachable!("{keyword} is not a keyword of bounds"),
    }
}

/// The key of a setting below another.
#[must_use]
pub fn below(key: &str, name: &str) -> String {
    match key {
        "" => name.to_owned(),
        _ => format!("{key}.{name}"),
    }
}

macro_rules! numbers {
    ($($type:ty: $schema:literal)*) => {
        $(impl Settable for $type {
            const SCHEMA: &'static str = $schema;

            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        })*
    };
}
numbers! {
    usize: r#"{"type": "integer", "minimum": 0}"#
    u32: r#"{"type": "integer", "minimum": 0}"#
    u64: r#"{"type": "integer", "minimum": 0}"#
    f64: r#"{"type": "number"}"#
}

impl Settable for Duration {
    const SCHEMA: &'static str = r##"{"$ref": "#/$defs/duration"}"##;
    const OPTIONAL_SCHEMA: &'static str = r##"{"anyOf": [{"$ref": "#/$defs/duration"}, {"const": "none"}]}"##;

    fn number(&self) -> Option<f64> {
        Some(self.as_secs_f64())
    }

    fn clamp_durations(&mut self) {
        *self = (*self).min(duration::LONGEST);
    }
}

impl Settable for PathBuf {
    const SCHEMA: &'static str = r#"{"type": "string"}"#;
}

impl Settable for String {
    const SCHEMA: &'static str = r#"{"type": "string"}"#;
}

impl Settable for BTreeMap<String, String> {
    const SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": {"type": "string"}}"#;

    fn copy(&mut self, key: &str, from: &Self) {
        match from.get(key) {
            Some(value) => drop(self.insert(key.to_owned(), value.clone())),
            None => self.clone_from(from),
        }
    }
}

impl<T: Settable> Settable for Option<T> {
    const SCHEMA: &'static str = T::OPTIONAL_SCHEMA;

    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(T::number)
    }

    fn clamp_durations(&mut self) {
        self.iter_mut().for_each(T::clamp_durations);
    }
}

/// Declares a struct of settings, with its `Default`, its setters, and [`Settable`].
///
/// The attributes of a field, in this order: its documentation; `setting`, with the default in
/// words and the [`Bounds`]; `set`, with the type of the setter's argument and the value that it
/// becomes, or with `nothing` for no setter; and the attribute of serde. The default follows the
/// `=`. Switches in a last block `hidden` are not settings: only code can set them.
#[doc(hidden)]
#[macro_export]
macro_rules! __settings {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[setting($words:literal $(, $bound:ident = $number:expr)*)])?
                $(#[set($($set:tt)+)])?
                $(#[serde($($serde:tt)*)])?
                pub $field:ident: $type:ty = $default:expr,
            )+
            $(hidden {
                $(
                    $(#[doc = $switch_doc:literal])+
                    pub $switch:ident: bool,
                )+
            })?
        }
    ) => {
        $(#[$outer])*
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[doc = concat!(" Default: ", $words, ".")])?
                $(#[serde($($serde)*)])?
                pub $field: $type,
            )+
            $($(
                $(#[doc = $switch_doc])+
                #[doc(hidden)]
                #[serde(skip)]
                pub $switch: bool,
            )+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ $($($switch: false,)+)? }
            }
        }

        impl $name {
            $($crate::setting::settings! { @setter $name $field $type $(, $($set)+)? })+
        }

        const _: () = {
            use $crate::setting::{Bounds, Settable, Setting, below};

            impl Settable for $name {
                const SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": false}"#;

                const SECTION: &'static [Setting] = &[$(Setting {
                    name: stringify!($field),
                    doc: concat!($($doc),+).trim_ascii_start(),
                    default: concat!($($words)?),
                    bounds: &[$($((stringify!($bound), $number as f64)),*)?],
                    schema: <$type as Settable>::SCHEMA,
                    section: <$type as Settable>::SECTION,
                }),+];

                fn check(&self, key: &str, _: Bounds) -> Result<(), (String, String)> {
                    let mut settings = Self::SECTION.iter();
                    $(if let Some(Setting { name, bounds, .. }) = settings.next() {
                        self.$field.check(&below(key, name), bounds)?;
                    })+
                    Ok(())
                }

                fn clamp_durations(&mut self) {
                    $(self.$field.clamp_durations();)+
                }

                fn copy(&mut self, key: &str, from: &Self) {
                    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
                    match first {
                        $(stringify!($field) => self.$field.copy(rest, &from.$field),)+
                        _ => {}
                    }
                }
            }
        };
    };
    (@setter $name:ident $field:ident $type:ty, nothing) => {};
    (@setter $name:ident $field:ident $type:ty) => {
        $crate::setting::settings! { @setter $name $field $type, $type => $field }
    };
    (@setter $name:ident $field:ident $type:ty, $argument:ty => $value:expr) => {
        #[doc = concat!("Sets [`", stringify!($name), "::", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $argument) -> Self {
            self.$field = $value;
            self
        }
    };
}

#[doc(inline)]
pub use __settings as settings;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares what is public")]
mod tests {
    use super::*;

    settings! {
        /// A section.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Section {
            /// How much
            /// there is.
            #[setting("0.5", minimum = 0, exclusiveMaximum = 1)]
            pub share: f64 = 0.5,
            /// How many.
            #[setting("3", minimum = 1, maximum = 65_535)]
            pub count: usize = 3,
            /// How long.
            #[setting("none", exclusiveMinimum = 0)]
            #[set(Duration => Some(time))]
            pub time: Option<Duration> = None,
            /// Names.
            #[setting("none")]
            #[set(nothing)]
            pub names: BTreeMap<String, String> = BTreeMap::new(),
        }
    }

    #[test]
    fn a_declaration_is_a_struct_with_defaults_setters_and_data() {
        let section = Section::default().share(0.25).time(Duration::from_secs(9));
        assert_eq!((section.share, section.count, section.time), (0.25, 3, Some(Duration::from_secs(9))));
        let share = &Section::SECTION[0];
        assert_eq!((share.name, share.doc, share.default), ("share", "How much there is.", "0.5"));
    }

    #[test]
    fn numbers_out_of_bounds_are_reported_with_their_key_and_bounds() {
        let section = Section::default;
        for (section, expected) in [
            (section(), None),
            (section().share(1.0), Some(("top.share", "at least 0 and below 1"))),
            (section().share(f64::NAN), Some(("top.share", "at least 0 and below 1"))),
            (section().count(0), Some(("top.count", "from 1 to 65535"))),
            (section().time(Duration::ZERO), Some(("top.time", "above 0"))),
            (section().time(Duration::MAX), None),
        ] {
            let expected = expected.map(|(key, bounds)| (key.to_owned(), bounds.to_owned()));
            assert_eq!(section.check("top", &[]).err(), expected, "{section:?}");
        }
    }
}
