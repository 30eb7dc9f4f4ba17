//! What serde reads a Rust type from: the kinds of values, and fields. The main item is
//! [`shape_of`].

use std::marker::PhantomData;

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

use crate::backend::kinds::{Kinds, Shape};

/// A type with more nested options and newtypes is recursive.
const DEEPEST: u8 = 16;

/// The kinds of values that a type can be read from. It may borrow from its input.
#[must_use]
pub fn kinds_of<T: Deserialize<'static>>() -> Kinds {
    shape_of::<T>().kinds
}

/// What a type can be read from. It may borrow from its input.
#[must_use]
fn shape_of<T: Deserialize<'static>>() -> Shape {
    let mut found = Shape::of(Kinds::NOTHING);
    // The deserializer always fails; it has noted what the type asked for.
    let _ = T::deserialize(Asked { found: &mut found, depth: 0 });
    if found.kinds == Kinds::NOTHING { Shape::ANY } else { found }
}

/// Stands for a type, whose shape is `(&&&Of::<T>::TYPE).shape()`. Of the traits that provide this
/// method for the type, method lookup finds the most specific one first.
#[derive(Debug)]
pub struct Of<T>(PhantomData<T>);

impl<T> Of<T> {
    /// The type.
    pub const TYPE: Self = Self(PhantomData);
}

/// References, which serialize as their targets.
pub trait ByReference {
    /// What the type serializes as.
    fn shape(&self) -> Shape;
}

impl<T: Deserialize<'static>> ByReference for &&Of<&T> {
    fn shape(&self) -> Shape {
        shape_of::<T>()
    }
}

// `&[u8]` deserializes from bytes, but serializes as a list.
impl<T> ByReference for &&Of<&[T]> {
    fn shape(&self) -> Shape {
        Shape::of(Kinds::LIST)
    }
}

/// Types that can be deserialized: they serialize as what they deserialize from.
pub trait ByValue {
    /// What the type serializes as.
    fn shape(&self) -> Shape;
}

impl<T: Deserialize<'static>> ByValue for &Of<T> {
    fn shape(&self) -> Shape {
        shape_of::<T>()
    }
}

/// Types whose shape is unknown.
pub trait ByNothing {
    /// What the type serializes as: anything.
    fn shape(&self) -> Shape;
}

impl<T> ByNothing for Of<T> {
    fn shape(&self) -> Shape {
        Shape::ANY
    }
}

/// A deserializer that always fails, after noting what it was asked for.
struct Asked<'a> {
    found: &'a mut Shape,
    depth: u8,
}

impl Asked<'_> {
    fn note<T>(self, kinds: Kinds) -> Result<T, Error> {
        self.found.kinds = self.found.kinds.or(kinds);
        Err(Error::custom("there is no value"))
    }
}

macro_rules! notes {
    ($($method:ident($($argument:ty),*) = $kinds:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Error> {
            self.note($kinds)
        })*
    };
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    notes! {
        deserialize_any() = Kinds::ANY;
        deserialize_ignored_any() = Kinds::ANY;
        deserialize_bool() = Kinds::BOOL;
        deserialize_i8() = Kinds::INT;
        deserialize_i16() = Kinds::INT;
        deserialize_i32() = Kinds::INT;
        deserialize_i64() = Kinds::INT;
        deserialize_i128() = Kinds::INT;
        deserialize_u8() = Kinds::INT;
        deserialize_u16() = Kinds::INT;
        deserialize_u32() = Kinds::INT;
        deserialize_u64() = Kinds::INT;
        deserialize_u128() = Kinds::INT;
        deserialize_f32() = Kinds::FLOAT;
        deserialize_f64() = Kinds::FLOAT;
        deserialize_char() = Kinds::STR;
        deserialize_str() = Kinds::STR;
        deserialize_string() = Kinds::STR;
        deserialize_identifier() = Kinds::STR;
        deserialize_bytes() = Kinds::BYTES;
        deserialize_byte_buf() = Kinds::BYTES;
        deserialize_unit() = Kinds::NONE;
        deserialize_unit_struct(&'static str) = Kinds::NONE;
        deserialize_seq() = Kinds::LIST;
        deserialize_tuple(usize) = Kinds::LIST;
        deserialize_tuple_struct(&'static str, usize) = Kinds::LIST;
        deserialize_map() = Kinds::DICT;
        // A variant without data is its name; any other is an object.
        deserialize_enum(&'static str, &'static [&'static str]) = Kinds::STR.or(Kinds::DICT);
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.found.fields = Some(fields);
        self.note(Kinds::DICT)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.depth == DEEPEST {
            return self.note(Kinds::ANY);
        }
        self.found.kinds = self.found.kinds.or(Kinds::NONE);
        visitor.visit_some(Asked { depth: self.depth + 1, ..self })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.depth == DEEPEST {
            return self.note(Kinds::ANY);
        }
        visitor.visit_newtype_struct(Asked { depth: self.depth + 1, ..self })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;
    use serde::{Deserialize, Serialize};
    use serde_json::Value;

    use super::{ByNothing as _, ByReference as _, ByValue as _, Kinds, Of, Shape, kinds_of, shape_of};

    #[derive(Deserialize)]
    struct Point {
        #[expect(dead_code, reason = "it is never read")]
        x: f64,
    }

    #[derive(Deserialize)]
    struct Celsius(#[expect(dead_code, reason = "it is never read")] f64);

    #[derive(Deserialize)]
    struct Chain(#[expect(dead_code, reason = "it is never read")] Option<Box<Chain>>);

    #[derive(Deserialize)]
    enum Choice {
        One,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        #[expect(dead_code, reason = "it is never read")]
        Text(String),
    }

    #[derive(Serialize, Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
    }

    #[derive(Serialize)]
    struct OnlyWritten;

    #[test]
    fn kinds_of_a_type_are_what_serde_reads_it_from() {
        let _ = Choice::One;
        let rows = [
            (kinds_of::<bool>(), Kinds::BOOL),
            (kinds_of::<u128>(), Kinds::INT),
            (kinds_of::<Celsius>(), Kinds::FLOAT),
            (kinds_of::<Point>(), Kinds::DICT),
            (kinds_of::<HashMap<String, i32>>(), Kinds::DICT),
            (kinds_of::<(i32, Point)>(), Kinds::LIST),
            (kinds_of::<Vec<Point>>(), Kinds::LIST),
            (kinds_of::<Option<Point>>(), Kinds::DICT.or(Kinds::NONE)),
            (kinds_of::<Choice>(), Kinds::STR.or(Kinds::DICT)),
            (kinds_of::<Bytes>(), Kinds::BYTES),
            (kinds_of::<()>(), Kinds::NONE),
            (kinds_of::<Value>(), Kinds::ANY),
            (kinds_of::<Either>(), Kinds::ANY),
            (kinds_of::<Chain>(), Kinds::ANY),
        ];
        for (row, (kinds, expected)) in rows.into_iter().enumerate() {
            assert_eq!(kinds, expected, "row {row}");
        }
    }

    #[test]
    fn fields_of_a_struct_are_known() {
        let point = Shape { kinds: Kinds::DICT, fields: Some(&["x"]) };
        assert_eq!(shape_of::<Point>(), point);
        let optional = Shape { kinds: Kinds::DICT.or(Kinds::NONE), ..point };
        assert_eq!(shape_of::<Option<Point>>(), optional);
        assert_eq!(shape_of::<Vec<Point>>(), Shape::of(Kinds::LIST));
        assert_eq!(shape_of::<HashMap<String, i32>>(), Shape::of(Kinds::DICT));
    }

    #[test]
    #[expect(clippy::needless_borrow, reason = "the references are what chooses the implementation")]
    fn types_that_cannot_be_read_say_what_they_refer_to_or_nothing() {
        let text = String::from("x");
        let _ = Borrowed { text: &text };
        assert_eq!((&&&Of::<i64>::TYPE).shape().kinds, Kinds::INT);
        assert_eq!((&&&Of::<&str>::TYPE).shape().kinds, Kinds::STR);
        assert_eq!((&&&Of::<Option<&str>>::TYPE).shape().kinds, Kinds::STR.or(Kinds::NONE));
        assert_eq!((&&&Of::<Borrowed<'_>>::TYPE).shape().kinds, Kinds::DICT);
        assert_eq!((&&&Of::<&Point>::TYPE).shape().kinds, Kinds::DICT);
        assert_eq!((&&&Of::<&[u8]>::TYPE).shape().kinds, Kinds::LIST);
        assert_eq!((&&&Of::<&[OnlyWritten]>::TYPE).shape().kinds, Kinds::LIST);
        assert_eq!((&&&Of::<OnlyWritten>::TYPE).shape().kinds, Kinds::ANY);
        assert_eq!((&&&Of::<&OnlyWritten>::TYPE).shape().kinds, Kinds::ANY);
    }
}
