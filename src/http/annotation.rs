//! Python type hints, as text, to JSON Schema. The main structure is [`Parser`].
//!
//! What is not understood is any value: a schema must never refuse what the function takes.

use serde_json::{Map, Value, json};

/// Hints are nested this deep at most; what is deeper is any value.
const DEEPEST: usize = 32;

/// The JSON Schema of what a type hint allows.
pub(super) fn schema(annotation: &str) -> Value {
    let mut parser = Parser { rest: annotation, depth: 0 };
    match parser.union() {
        Some(hint) if parser.rest.trim().is_empty() => hint.schema(),
        _ => json!({}),
    }
}

/// Whether a hint is for raw bytes, which have no JSON.
pub(super) fn is_bytes(annotation: &str) -> bool {
    matches!(annotation, "bytes" | "bytearray" | "memoryview")
}

/// A type hint, taken apart.
#[derive(Debug)]
enum Hint {
    /// `name` or `name[arguments]`.
    Named(String, Vec<Hint>),
    /// `a | b`.
    Union(Vec<Hint>),
    /// A value inside `Literal[…]`.
    Value(Value),
    /// `...`
    Ellipsis,
    /// `[a, b]` inside `Callable[…]`.
    List,
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn union(&mut self) -> Option<Hint> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut hints = vec![self.one()?];
        while self.eat("|") {
            hints.push(self.one()?);
        }
        self.depth -= 1;
        Some(if hints.len() == 1 { hints.pop()? } else { Hint::Union(hints) })
    }

    fn one(&mut self) -> Option<Hint> {
        self.rest = self.rest.trim_start();
        if self.eat("...") {
            return Some(Hint::Ellipsis);
        }
        if self.eat("[") {
            self.arguments()?;
            return Some(Hint::List);
        }
        match self.rest.chars().next()? {
            quote @ ('\'' | '"') => self.string(quote).map(|text| Hint::Value(text.into())),
            '-' | '0'..='9' => self.number(),
            _ => self.named(),
        }
    }

    fn named(&mut self) -> Option<Hint> {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        self.rest = rest;
        let arguments = if self.eat("[") { self.arguments()? } else { Vec::new() };
        // `typing.List` and `list`, `collections.abc.Sequence` and `Sequence`.
        let name = name.rsplit('.').next().unwrap_or(name);
        Some(Hint::Named(name.to_owned(), arguments))
    }

    /// What stands before the closing bracket.
    fn arguments(&mut self) -> Option<Vec<Hint>> {
        let mut arguments = Vec::new();
        while !self.eat("]") {
            arguments.push(self.union()?);
            if !self.eat(",") && !self.rest.trim_start().starts_with(']') {
                return None;
            }
        }
        Some(arguments)
    }

    fn string(&mut self, quote: char) -> Option<String> {
        let body = &self.rest[1..];
        let end = body.find(quote)?;
        // With an escape in it nobody knows where it ends.
        let text = Some(&body[..end]).filter(|text| !text.contains('\\'))?;
        self.rest = &body[end + 1..];
        Some(text.to_owned())
    }

    fn number(&mut self) -> Option<Hint> {
        let end = self.rest.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse::<i64>().ok().map(|number| Hint::Value(number.into()))
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

impl Hint {
    fn schema(&self) -> Value {
        match self {
            Self::Named(name, arguments) => named(name, arguments),
            Self::Union(hints) => any_of(hints.iter().map(Self::schema).collect()),
            // Outside of `Literal` a string is a hint that is not evaluated yet.
            Self::Value(Value::String(text)) => schema(text),
            Self::Value(_) | Self::Ellipsis | Self::List => json!({}),
        }
    }
}

fn named(name: &str, arguments: &[Hint]) -> Value {
    match (name, arguments) {
        ("None" | "NoneType", _) => json!({"type": "null"}),
        ("bool", _) => json!({"type": "boolean"}),
        ("int", _) => json!({"type": "integer"}),
        ("float" | "complex", _) => json!({"type": "number"}),
        ("str" | "LiteralString", _) => json!({"type": "string"}),
        ("bytes" | "bytearray" | "memoryview", _) => json!({"contentMediaType": "application/octet-stream"}),
        ("Optional", [inner]) => any_of(vec![inner.schema(), json!({"type": "null"})]),
        ("Union", [_, ..]) => any_of(arguments.iter().map(Hint::schema).collect()),
        ("Annotated" | "Required" | "NotRequired" | "Final", [inner, ..]) => inner.schema(),
        ("Literal", [_, ..]) => literal(arguments),
        (
            "dict" | "Dict" | "Mapping" | "MutableMapping" | "OrderedDict" | "defaultdict" | "DefaultDict",
            _,
        ) => {
            let mut object = json!({"type": "object"});
            if let [_, value] = arguments {
                object["additionalProperties"] = value.schema();
            }
            object
        }
        ("tuple" | "Tuple", [inner, Hint::Ellipsis]) => json!({"type": "array", "items": inner.schema()}),
        ("tuple" | "Tuple", [_, ..]) => {
            let items: Vec<Value> = arguments.iter().map(Hint::schema).collect();
            json!({"type": "array", "minItems": items.len(), "maxItems": items.len(), "prefixItems": items})
        }
        (
            "list" | "List" | "tuple" | "Tuple" | "set" | "Set" | "frozenset" | "FrozenSet" | "Sequence"
            | "MutableSequence" | "Iterable" | "Collection" | "deque",
            _,
        ) => {
            let mut array = json!({"type": "array"});
            if let [inner] = arguments {
                array["items"] = inner.schema();
            }
            array
        }
        ("Any" | "object", _) => json!({}),
        // A class of the script's own, or of a library: what it looks like in JSON is not known
        // here.
        _ => json!({"x-python-type": name}),
    }
}

/// `Literal["a", 1, None]`.
fn literal(arguments: &[Hint]) -> Value {
    let value = |hint: &Hint| match hint {
        Hint::Value(value) => Some(value.clone()),
        Hint::Named(name, _) => match name.as_str() {
            "None" => Some(Value::Null),
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            _ => None,
        },
        _ => None,
    };
    match arguments.iter().map(value).collect::<Option<Vec<Value>>>() {
        Some(values) => json!({"enum": values}),
        None => json!({}),
    }
}

/// One of several: plain types side by side, as `{"type": ["integer", "null"]}`, else `anyOf`.
fn any_of(schemas: Vec<Value>) -> Value {
    let plain = |schema: &Value| match schema.as_object() {
        Some(members) if members.len() == 1 => members.get("type").filter(|kind| kind.is_string()).cloned(),
        _ => None,
    };
    if schemas.iter().any(|schema| schema.as_object().is_some_and(Map::is_empty)) {
        return json!({});
    }
    match schemas.iter().map(plain).collect::<Option<Vec<Value>>>() {
        Some(types) => json!({"type": types}),
        None => json!({"anyOf": schemas}),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::schema;

    #[test]
    fn hints_are_told_in_json_schema() {
        let rows = [
            ("int", json!({"type": "integer"})),
            ("float", json!({"type": "number"})),
            ("str", json!({"type": "string"})),
            ("bool", json!({"type": "boolean"})),
            ("None", json!({"type": "null"})),
            ("dict", json!({"type": "object"})),
            ("dict[str, int]", json!({"type": "object", "additionalProperties": {"type": "integer"}})),
            ("list", json!({"type": "array"})),
            ("list[int]", json!({"type": "array", "items": {"type": "integer"}})),
            (
                "List[Dict[str, Any]]",
                json!({"type": "array", "items": {"type": "object", "additionalProperties": {}}}),
            ),
            ("Optional[int]", json!({"type": ["integer", "null"]})),
            ("int | None", json!({"type": ["integer", "null"]})),
            (
                "Union[int, list[str]]",
                json!({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]}),
            ),
            ("tuple[int, ...]", json!({"type": "array", "items": {"type": "integer"}})),
            (
                "tuple[int, str]",
                json!({"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}]}),
            ),
            ("Literal['a', \"b\", 3, None, True]", json!({"enum": ["a", "b", 3, null, true]})),
            ("collections.abc.Sequence[float]", json!({"type": "array", "items": {"type": "number"}})),
            ("Annotated[int, 'positive']", json!({"type": "integer"})),
            ("'list[int]'", json!({"type": "array", "items": {"type": "integer"}})),
            ("bytes", json!({"contentMediaType": "application/octet-stream"})),
            ("Any", json!({})),
            ("Any | None", json!({})),
            ("numpy.ndarray", json!({"x-python-type": "ndarray"})),
        ];
        for (hint, expected) in rows {
            assert_eq!(schema(hint), expected, "{hint}");
        }
    }

    #[test]
    fn what_is_no_hint_is_any_value() {
        for hint in ["", "list[", "list[int", "int]", "a b", "Literal['a\\'b']", "[", "|", "x[,]"] {
            assert_eq!(schema(hint), json!({}), "{hint}");
        }
        assert_eq!(schema(&"list[".repeat(10_000)), json!({}));
        assert_eq!(schema("Callable[[int], str]"), json!({"x-python-type": "Callable"}));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"[a-zA-Z\[\]|,.'"\\ 0-9é-]{0,60}"#) {
            let _ = schema(&text);
        }
    }
}
