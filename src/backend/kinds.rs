//! The kinds of values on the wire, and which of them a JSON Schema describes. The main structure
//! is [`Kinds`].

use serde_json::{Map, Value};

use crate::wire::function::Definitions;

/// A schema with more nested references and alternatives is recursive.
const DEEPEST: u8 = 16;
/// How a schema refers to a class.
const PREFIX: &str = "#/components/schemas/";

/// What a Rust type is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The kinds of its values.
    pub(crate) kinds: Kinds,
    /// The names of its fields, if it is a struct with names.
    pub(crate) fields: Option<&'static [&'static str]>,
}

impl Shape {
    /// Anything.
    pub(crate) const ANY: Self = Self::of(Kinds::ANY);

    /// A type without known fields.
    pub(crate) const fn of(kinds: Kinds) -> Self {
        Self { kinds, fields: None }
    }

    /// Whether an object of this type may have the field.
    pub(crate) fn may_have(self, name: &str) -> bool {
        self.fields.is_none_or(|fields| fields.contains(&name))
    }
}

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

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These kinds, and `more` if `some` is among them.
    const fn widened(self, some: Self, more: Self) -> Self {
        if self.meets(some) { self.or(more) } else { self }
    }

    /// Whether a value of a Rust type of these kinds may be passed to a parameter of type `python`.
    pub(crate) fn fit_parameter(self, python: Self, may_be_none: bool) -> bool {
        // To Python, an int is a float, but a bool is not an int.
        // Bytes are taken as base64 too.
        let taken = python.widened(Self::FLOAT, Self::INT).widened(Self::BYTES, Self::STR);
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

    /// The kinds of the values that a JSON Schema describes; all of them if it does not say.
    pub(crate) fn of_schema(schema: &Value, definitions: &Definitions) -> Self {
        Self::at_depth(schema, definitions, 0)
    }

    fn at_depth(schema: &Value, definitions: &Definitions, depth: u8) -> Self {
        let Some(schema) = schema.as_object().filter(|_| depth < DEEPEST) else { return Self::ANY };
        let inner = |schema: &Value| Self::at_depth(schema, definitions, depth + 1);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix(PREFIX).unwrap_or_default();
            return definitions.get(name).map_or(Self::ANY, inner);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values.iter().map(Self::of_value).fold(Self::NOTHING, Self::or);
        }
        if let Some(value) = schema.get("const") {
            return Self::of_value(value);
        }
        let several = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        if let Some(several) = several {
            return several.iter().map(inner).fold(Self::NOTHING, Self::or);
        }
        match schema.get("type") {
            Some(Value::String(name)) => Self::of_name(name, schema),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                names.map(|name| Self::of_name(name, schema)).fold(Self::NOTHING, Self::or)
            }
            _ => Self::ANY,
        }
    }

    /// The kinds of a `type` of JSON Schema.
    fn of_name(name: &str, schema: &Map<String, Value>) -> Self {
        match name {
            "null" => Self::NONE,
            "boolean" => Self::BOOL,
            "integer" => Self::INT,
            "number" => Self::FLOAT,
            "string" if schema.contains_key("contentEncoding") => Self::BYTES,
            "string" if schema.get("format").is_some_and(|format| format == "binary") => {
                Self::STR.or(Self::BYTES)
            }
            "string" => Self::STR,
            "array" => Self::LIST,
            "object" => Self::DICT,
            _ => Self::ANY,
        }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NONE,
            Value::Bool(_) => Self::BOOL,
            Value::Number(number) if number.is_f64() => Self::FLOAT,
            Value::Number(_) => Self::INT,
            Value::String(_) => Self::STR,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::DICT,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Definitions, Kinds};
    use crate::wire::function::golden;

    #[test]
    fn annotation_says_its_kinds_and_what_is_not_known_says_all() {
        let schemas = golden::schemas();
        for (text, expected) in [
            ("int", Kinds::INT),
            ("dict[str, list[int] | None]", Kinds::DICT),
            ("Dict[str, Any]", Kinds::DICT),
            ("Optional[float]", Kinds::FLOAT.or(Kinds::NONE)),
            ("int | str | None", Kinds::INT.or(Kinds::STR).or(Kinds::NONE)),
            ("Union[Tuple[int, str], bytes]", Kinds::LIST.or(Kinds::BYTES)),
            ("Annotated[str, 'max 3 | 4']", Kinds::STR),
            ("collections.abc.Sequence[str]", Kinds::LIST),
            ("\"bool\"", Kinds::BOOL),
            ("None", Kinds::NONE),
            ("datetime.datetime", Kinds::STR),
            ("datetime.timedelta", Kinds::FLOAT),
            ("Literal['a', 'b']", Kinds::STR),
            ("Literal['a', \"b\", 3, None, True]", Kinds::STR.or(Kinds::INT).or(Kinds::NONE).or(Kinds::BOOL)),
            ("Any", Kinds::ANY),
            ("numpy.ndarray", Kinds::ANY),
            ("int | numpy.ndarray", Kinds::ANY),
            ("", Kinds::ANY),
        ] {
            let golden = schemas.iter().find(|golden| golden.annotation == text);
            let golden = golden.unwrap_or_else(|| panic!("the golden annotations include {text}"));
            assert_eq!(Kinds::of_schema(&golden.schema, &Definitions::new()), expected, "{text}");
        }
    }

    #[test]
    fn references_lead_to_definitions_and_circles_say_nothing() {
        let definitions = json!({
            "Point": {"type": "object"},
            "Shape": {"anyOf": [{"$ref": "#/components/schemas/Point"}, {"type": "null"}]},
            "Loop": {"$ref": "#/components/schemas/Loop"},
        });
        let definitions = definitions.as_object().expect("it is one");
        let of = |name: &str| {
            Kinds::of_schema(&json!({"$ref": format!("#/components/schemas/{name}")}), definitions)
        };
        assert_eq!((of("Point"), of("Shape")), (Kinds::DICT, Kinds::DICT.or(Kinds::NONE)));
        assert_eq!((of("Loop"), of("Nowhere")), (Kinds::ANY, Kinds::ANY));
    }

    #[test]
    fn parameter_fits_if_python_may_take_it() {
        let optional = Kinds::INT.or(Kinds::NONE);
        for (rust, python, expected) in [
            (Kinds::INT, Kinds::FLOAT, true),
            (Kinds::FLOAT, Kinds::INT, false),
            (Kinds::BOOL, Kinds::INT, false),
            (Kinds::STR, Kinds::BYTES, true),
            (Kinds::LIST, Kinds::BYTES, false),
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
