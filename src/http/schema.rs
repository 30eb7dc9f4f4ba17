//! The JSON Schema of the types that a worker reports. The main item is [`schema`].
//!
//! A schema must not exclude a value that the function takes.

use serde_json::{Map, Value, json};

use crate::wire::function::TypeInfo;

/// The JSON Schema of the values of a type.
pub(super) fn schema(type_info: &TypeInfo) -> Value {
    match type_info {
        TypeInfo::Any => json!({}),
        TypeInfo::None => json!({"type": "null"}),
        TypeInfo::Bool => json!({"type": "boolean"}),
        TypeInfo::Int => json!({"type": "integer"}),
        TypeInfo::Float => json!({"type": "number"}),
        TypeInfo::Str => json!({"type": "string"}),
        TypeInfo::Bytes => json!({"contentMediaType": "application/octet-stream"}),
        TypeInfo::List(item) | TypeInfo::Sequence(item) => container("array", "items", item.as_deref()),
        TypeInfo::Dict(value) => container("object", "additionalProperties", value.as_deref()),
        TypeInfo::Tuple(items) => {
            let items: Vec<Value> = items.iter().map(schema).collect();
            json!({"type": "array", "minItems": items.len(), "maxItems": items.len(), "prefixItems": items})
        }
        TypeInfo::Union(types) => any_of(types.iter().map(schema).collect()),
        TypeInfo::Literal(values) => json!({"enum": values}),
        // Its form in JSON is unknown.
        TypeInfo::Class(name) => json!({"x-python-type": name}),
    }
}

fn container(kind: &str, of: &str, inner: Option<&TypeInfo>) -> Value {
    let mut container = json!({"type": kind});
    if let Some(inner) = inner {
        container[of] = schema(inner);
    }
    container
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
    use super::schema;
    use crate::wire::function::golden;

    #[test]
    fn types_become_json_schema() {
        for golden in golden::annotations() {
            assert_eq!(schema(&golden.type_info), golden.schema, "{}", golden.annotation);
        }
    }
}
