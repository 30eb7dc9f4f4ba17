//! The kinds of values on the wire, and what a Python annotation says of them. The main structure
//! is [`Kinds`].

/// Which kinds a value may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    pub(super) const NOTHING: Self = Self(0);
    pub(super) const NONE: Self = Self(1);
    pub(super) const BOOL: Self = Self(1 << 1);
    pub(super) const INT: Self = Self(1 << 2);
    pub(super) const FLOAT: Self = Self(1 << 3);
    pub(super) const STR: Self = Self(1 << 4);
    pub(super) const BYTES: Self = Self(1 << 5);
    pub(super) const LIST: Self = Self(1 << 6);
    pub(super) const DICT: Self = Self(1 << 7);
    pub(super) const ANY: Self = Self(u8::MAX);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These, and `more` if there are `some` of these.
    const fn widened(self, some: Self, more: Self) -> Self {
        if self.meets(some) { self.or(more) } else { self }
    }

    /// Whether a value of a Rust type of these kinds may be passed where Python says `python`.
    pub(super) fn fit_parameter(self, python: Self, may_be_none: bool) -> bool {
        // An int is a float to Python, and a bool is an int.
        let taken = python.widened(Self::FLOAT, Self::INT).widened(Self::INT, Self::BOOL);
        let taken = if may_be_none { taken.or(Self::NONE) } else { taken };
        self.flow_into(taken)
    }

    /// Whether what Python says that it returns may be read as a Rust type of these kinds.
    pub(super) fn fit_result(self, python: Self) -> bool {
        // A float is read from an integer, and bytes from all that has bytes in it.
        let read = self.widened(Self::FLOAT, Self::INT).widened(Self::BYTES, Self::STR.or(Self::LIST));
        python.flow_into(read)
    }

    /// As these are sent in JSON, which has no bytes but lists of numbers.
    pub(super) fn in_json(self) -> Self {
        match self {
            Self::ANY => Self::ANY,
            _ => self.widened(Self::BYTES, Self::LIST).without(Self::BYTES),
        }
    }

    /// None must be taken if it may come; of the others it is enough that one may be.
    fn flow_into(self, taken: Self) -> bool {
        if self == Self::ANY || taken == Self::ANY {
            return true;
        }
        let (value, none) = (self.without(Self::NONE), self.meets(Self::NONE));
        (value == Self::NOTHING || value.meets(taken)) && (!none || taken.meets(Self::NONE))
    }

    /// What an annotation allows; all if it is none of the simple ones.
    pub(super) fn of_annotation(text: &str) -> Self {
        let text = text.trim().trim_matches(['"', '\'']);
        let alternatives = split(text, '|');
        if alternatives.len() > 1 {
            return alternatives.into_iter().map(Self::of_annotation).fold(Self::NOTHING, Self::or);
        }
        let (name, arguments) = match text.split_once('[') {
            Some((name, rest)) => (name.trim(), rest.strip_suffix(']').unwrap_or(rest)),
            None => (text, ""),
        };
        let name = ["typing.", "typing_extensions.", "collections.abc.", "builtins."]
            .into_iter()
            .find_map(|module| name.strip_prefix(module))
            .unwrap_or(name);
        match name {
            "None" | "NoneType" => Self::NONE,
            "bool" => Self::BOOL,
            "int" => Self::INT,
            "float" => Self::FLOAT,
            "str" => Self::STR,
            "bytes" | "bytearray" | "memoryview" => Self::BYTES,
            "list" | "List" | "tuple" | "Tuple" | "set" | "Set" | "frozenset" | "FrozenSet" => Self::LIST,
            // A string is a sequence too.
            "Sequence" | "Iterable" | "Collection" => Self::LIST.or(Self::STR),
            "dict" | "Dict" | "Mapping" | "MutableMapping" => Self::DICT,
            "Optional" => Self::of_annotation(arguments).or(Self::NONE),
            "Union" => {
                split(arguments, ',').into_iter().map(Self::of_annotation).fold(Self::NOTHING, Self::or)
            }
            "Annotated" => {
                split(arguments, ',').first().map_or(Self::ANY, |first| Self::of_annotation(first))
            }
            _ => Self::ANY,
        }
    }
}

/// Splits at the separators that are in no brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ if c == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::Kinds;

    #[test]
    fn annotation_says_its_kinds_and_what_is_not_known_says_all() {
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
            assert_eq!(Kinds::of_annotation(text), expected, "{text}");
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
