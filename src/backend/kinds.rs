//! The kinds of values on the wire, and which of them a Python type has. The main structure is
//! [`Kinds`].

use crate::wire::function::TypeInfo;

/// A set of kinds that a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    pub(crate) const NOTHING: Self = Self(0);
    pub(crate) const NONE: Self = Self(1);
    pub(crate) const BOOL: Self = Self(1 << 1);
    pub(crate) const INT: Self = Self(1 << 2);
    pub(crate) const FLOAT: Self = Self(1 << 3);
    pub(crate) const STR: Self = Self(1 << 4);
    pub(crate) const BYTES: Self = Self(1 << 5);
    pub(crate) const LIST: Self = Self(1 << 6);
    pub(crate) const DICT: Self = Self(1 << 7);
    pub(crate) const ANY: Self = Self(u8::MAX);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These kinds, and `more` if `some` is among them.
    const fn widened(self, some: Self, more: Self) -> Self {
        if self.meets(some) { self.or(more) } else { self }
    }

    /// Whether a value of a Rust type of these kinds may be passed to a parameter of type `python`.
    pub(crate) fn fit_parameter(self, python: Self, may_be_none: bool) -> bool {
        // To Python, an int is a float and a bool is an int.
        let taken = python.widened(Self::FLOAT, Self::INT).widened(Self::INT, Self::BOOL);
        let taken = if may_be_none { taken.or(Self::NONE) } else { taken };
        self.flow_into(taken)
    }

    /// Whether a result of the type `python` may be read as a Rust type of these kinds.
    pub(crate) fn fit_result(self, python: Self) -> bool {
        // A float can be read from an integer, and bytes from a string or a list.
        let read = self.widened(Self::FLOAT, Self::INT).widened(Self::BYTES, Self::STR.or(Self::LIST));
        python.flow_into(read)
    }

    /// The kinds that JSON sends these as: it has no bytes, but lists of numbers.
    pub(crate) fn in_json(self) -> Self {
        match self {
            Self::ANY => Self::ANY,
            _ => self.widened(Self::BYTES, Self::LIST).without(Self::BYTES),
        }
    }

    /// Whether `taken` accepts `None` if it may occur, and at least one of the other kinds.
    fn flow_into(self, taken: Self) -> bool {
        if self == Self::ANY || taken == Self::ANY {
            return true;
        }
        let (value, none) = (self.without(Self::NONE), self.meets(Self::NONE));
        (value == Self::NOTHING || value.meets(taken)) && (!none || taken.meets(Self::NONE))
    }

    /// The kinds of the values of a Python type; all of them if the type does not say.
    pub(crate) fn of_type(type_info: &TypeInfo) -> Self {
        match type_info {
            TypeInfo::None => Self::NONE,
            TypeInfo::Bool => Self::BOOL,
            TypeInfo::Int => Self::INT,
            TypeInfo::Float => Self::FLOAT,
            TypeInfo::Str => Self::STR,
            TypeInfo::Bytes => Self::BYTES,
            TypeInfo::List(_) | TypeInfo::Tuple(_) => Self::LIST,
            TypeInfo::Sequence(_) => Self::LIST.or(Self::STR),
            TypeInfo::Dict(_) => Self::DICT,
            TypeInfo::Union(types) => types.iter().map(Self::of_type).fold(Self::NOTHING, Self::or),
            TypeInfo::Any | TypeInfo::Literal(_) | TypeInfo::Class(_) => Self::ANY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kinds;
    use crate::wire::function::golden;

    #[test]
    fn annotation_says_its_kinds_and_what_is_not_known_says_all() {
        let annotations = golden::annotations();
        for (text, expected) in [
            ("int", Kinds::INT),
            ("dict[str, list[int] | None]", Kinds::DICT),
            ("Dict[str, Any]", Kinds::DICT),
            ("Optional[float]", Kinds::FLOAT.or(Kinds::NONE)),
            ("int | str | None", Kinds::INT.or(Kinds::STR).or(Kinds::NONE)),
            ("Union[Tuple[int, str], bytes]", Kinds::LIST.or(Kinds::BYTES)),
            ("Annotated[str, 'max 3 | 4']", Kinds::STR),
            ("collections.abc.Sequence[str]", Kinds::LIST.or(Kinds::STR)),
            ("\"bool\"", Kinds::BOOL),
            ("None", Kinds::NONE),
            ("Any", Kinds::ANY),
            ("numpy.ndarray", Kinds::ANY),
            ("int | numpy.ndarray", Kinds::ANY),
            ("Literal['a', 'b']", Kinds::ANY),
            ("", Kinds::ANY),
        ] {
            let golden = annotations.iter().find(|golden| golden.annotation == text);
            let golden = golden.expect("the golden annotations include it");
            assert_eq!(Kinds::of_type(&golden.type_info), expected, "{text}");
        }
    }

    #[test]
    fn parameter_fits_if_python_may_take_it() {
        let optional = Kinds::INT.or(Kinds::NONE);
        for (rust, python, expected) in [
            (Kinds::INT, Kinds::FLOAT, true),
            (Kinds::FLOAT, Kinds::INT, false),
            (Kinds::BOOL, Kinds::INT, true),
            (Kinds::INT, Kinds::BOOL, false),
            (Kinds::STR.or(Kinds::DICT), Kinds::STR, true),
            (Kinds::DICT, Kinds::LIST, false),
            (optional, Kinds::INT, false),
            (optional, optional, true),
            (Kinds::NONE, Kinds::INT, false),
            (Kinds::ANY, Kinds::INT, true),
            (Kinds::DICT, Kinds::ANY, true),
        ] {
            assert_eq!(rust.fit_parameter(python, false), expected, "{rust:?} {python:?}");
        }
        assert!(optional.fit_parameter(Kinds::INT, true));
    }

    #[test]
    fn result_fits_if_rust_may_read_it() {
        let optional = Kinds::INT.or(Kinds::NONE);
        for (rust, python, expected) in [
            (Kinds::FLOAT, Kinds::INT, true),
            (Kinds::INT, Kinds::FLOAT, false),
            (Kinds::BYTES, Kinds::BYTES, true),
            (Kinds::LIST, Kinds::BYTES, false),
            (Kinds::INT, optional, false),
            (optional, Kinds::INT, true),
            (Kinds::NONE, Kinds::NONE, true),
            (Kinds::NONE, Kinds::DICT, false),
            (Kinds::DICT, Kinds::ANY, true),
            (Kinds::ANY, optional, true),
        ] {
            assert_eq!(rust.fit_result(python), expected, "{rust:?} {python:?}");
        }
    }
}
