//! Settings that are declared once: the name, type, default, bounds and documentation of each stand
//! in one place. The main item in this module is the macro [`settings!`].

use std::collections::BTreeMap;
use std::fmt;
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

/// A value that is out of bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The key of the setting, with its section: `restart.max`.
    pub key: String,
    /// What its values must be: "from 1 to 100".
    pub bounds: String,
}

/// Which numbers a setting accepts; a duration counts as its seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// A number that all accepted ones are above.
    pub above: f64,
    /// A number that all accepted ones are below.
    pub below: f64,
}

impl Bounds {
    /// All numbers.
    pub const NONE: Self =
        Self { min: f64::NEG_INFINITY, max: f64::INFINITY, above: f64::NEG_INFINITY, below: f64::INFINITY };

    /// Whether the number is accepted. NaN never is.
    #[must_use]
    pub fn accepts(&self, number: f64) -> bool {
        let above = number > self.above || self.above == f64::NEG_INFINITY;
        let below = number < self.below || self.below == f64::INFINITY;
        above && below && (self.min..=self.max).contains(&number)
    }

    /// The finite bounds, by their keywords in JSON Schema.
    pub fn keywords(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let keywords = [
            ("minimum", self.min),
            ("maximum", self.max),
            ("exclusiveMinimum", self.above),
            ("exclusiveMaximum", self.below),
        ];
        keywords.into_iter().filter(|(_, bound)| bound.is_finite())
    }

    /// The bounds in words.
    fn in_words(&self) -> String {
        if self.min.is_finite() && self.max.is_finite() {
            return format!("from {} to {}", grouped(self.min), grouped(self.max));
        }
        let bounds =
            [("at least", self.min), ("above", self.above), ("at most", self.max), ("below", self.below)];
        let words = bounds.iter().filter(|(_, bound)| bound.is_finite());
        words.map(|(word, bound)| format!("{word} {}", grouped(*bound))).collect::<Vec<_>>().join(" and ")
    }
}

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

    /// The first value that is out of bounds; `key` is that of this setting.
    ///
    /// # Errors
    /// [`OutOfBounds`] if there is one.
    fn check(&self, key: &str, bounds: &Bounds) -> Result<(), OutOfBounds> {
        match self.number() {
            Some(number) if !bounds.accepts(number) => {
                Err(OutOfBounds { key: key.to_owned(), bounds: bounds.in_words() })
            }
            _ => Ok(()),
        }
    }

    /// Shortens durations to the longest that the clock can bear, [`duration::LONGEST`].
    fn clamp_durations(&mut self) {}

    /// Copies the value of a key below this setting; the key is empty for the setting itself.
    fn copy(&mut self, _key: &str, from: &Self) {
        self.clone_from(from);
    }
}

/// A number with commas between thousands.
fn grouped(number: f64) -> String {
    let text = number.to_string();
    let whole = text.split('.').next().map_or(0, str::len);
    let mut grouped = String::new();
    for (at, digit) in text.char_indices() {
        if at > 0 && at < whole && (whole - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.key, self.bounds)
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

macro_rules! integers {
    ($($type:ty),*) => {
        $(impl Settable for $type {
            const SCHEMA: &'static str = r#"{"type": "integer", "minimum": 0}"#;

            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        })*
    };
}
integers!(usize, u32, u64);

impl Settable for f64 {
    const SCHEMA: &'static str = r#"{"type": "number"}"#;

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
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

impl Settable for BTreeMap<String, String> {
    const SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": {"type": "string"}}"#;

    fn copy(&mut self, key: &str, from: &Self) {
        match from.get_key_value(key) {
            Some((name, value)) => drop(self.insert(name.clone(), value.clone())),
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
/// The attributes of a field, in this order: its documentation; `default`, the default in words;
/// `bounds`, some of `min`, `max`, `above` and `below`; `set`, the type of the setter's argument
/// and the value that it becomes, or `nothing` for no setter; and that of serde. After the `=`
/// comes the default as an expression.
#[doc(hidden)]
#[macro_export]
macro_rules! __settings {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[default = $words:literal])?
                $(#[bounds($($bound:ident = $number:expr),+)])?
                $(#[set($($set:tt)+)])?
                $(#[serde($($serde:tt)*)])?
                pub $field:ident: $type:ty = $default:expr,
            )+
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
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $name {
            $($crate::setting::settings! { @setter $name $field $type $(, $($set)+)? })+
        }

        const _: () = {
            use $crate::setting::{Bounds, OutOfBounds, Settable, Setting, below};

            impl Settable for $name {
                const SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": false}"#;

                const SECTION: &'static [Setting] = &[$(Setting {
                    name: stringify!($field),
                    doc: concat!($($doc),+).trim_ascii_start(),
                    default: concat!($($words)?),
                    bounds: Bounds {
                        $($($bound: $number as f64,)+)?
                        ..Bounds::NONE
                    },
                    schema: <$type as Settable>::SCHEMA,
                    section: <$type as Settable>::SECTION,
                }),+];

                fn check(&self, key: &str, _: &Bounds) -> Result<(), OutOfBounds> {
                    let mut settings = Self::SECTION.iter();
                    $(if let Some(setting) = settings.next() {
                        self.$field.check(&below(key, setting.name), &setting.bounds)?;
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
            #[default = "0.5"]
            #[bounds(min = 0, below = 1)]
            pub share: f64 = 0.5,
            /// How many.
            #[default = "3"]
            #[bounds(min = 1, max = 65_535)]
            pub count: usize = 3,
            /// How long.
            #[default = "none"]
            #[bounds(above = 0)]
            #[set(Duration => Some(time))]
            pub time: Option<Duration> = None,
            /// Names.
            #[default = "none"]
            #[set(nothing)]
            pub names: BTreeMap<String, String> = BTreeMap::new(),
        }
    }

    fn problem(section: &Section) -> Option<String> {
        section.check("top", &Bounds::NONE).err().map(|error| error.to_string())
    }

    #[test]
    fn a_declaration_is_a_struct_with_defaults_setters_and_data() {
        let section = Section::default().share(0.25).time(Duration::from_secs(9));
        assert_eq!((section.share, section.count, section.time), (0.25, 3, Some(Duration::from_secs(9))));
        let share = &Section::SECTION[0];
        assert_eq!((share.name, share.doc, share.default), ("share", "How much there is.", "0.5"));
    }

    #[test]
    fn values_out_of_bounds_are_reported_with_their_key_and_bounds() {
        let section = Section::default;
        for (section, expected) in [
            (section(), None),
            (section().share(1.0), Some("top.share must be at least 0 and below 1")),
            (section().share(f64::NAN), Some("top.share must be at least 0 and below 1")),
            (section().count(0), Some("top.count must be from 1 to 65,535")),
            (section().time(Duration::ZERO), Some("top.time must be above 0")),
            (section().time(Duration::MAX), None),
        ] {
            assert_eq!(problem(&section).as_deref(), expected, "{section:?}");
        }
    }

    #[test]
    fn durations_are_clamped_to_the_longest() {
        let mut section = Section::default().time(Duration::MAX);
        section.clamp_durations();
        assert_eq!(section, Section::default().time(duration::LONGEST));
    }

    #[test]
    fn a_copy_takes_one_key_and_leaves_the_others() {
        let mut other = Section::default().count(7);
        other.names = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into();
        let mut section = Section::default();
        for key in ["names.b", "share", "colour"] {
            section.copy(key, &other);
        }
        assert_eq!(section, Section { names: [("b".into(), "2".into())].into(), ..Section::default() });
        section.copy("names", &other);
        section.copy("count", &other);
        assert_eq!(section, other);
    }
}
