//! `GET /functions`: OpenAPI 3.1 of what the workers expose.

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::admission::Allowed;
use super::annotation::{is_bytes, schema};
use crate::{FunctionInfo, ParameterInfo, WorkerSource};

pub(super) async fn functions(Allowed(gateway): Allowed, request: HttpRequest) -> HttpResponse {
    let pool = gateway.pool();
    // Where the handlers are mounted.
    let base = request.path().strip_suffix("/functions").filter(|base| !base.is_empty()).unwrap_or("/");
    let mut document = document(&pool.functions(), &title(&pool.config().worker), base);
    if gateway.options().token.is_some() {
        document["components"]["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
        document["security"] = json!([{"token": []}]);
    }
    HttpResponse::Ok().json(document)
}

pub(super) fn title(worker: &WorkerSource) -> String {
    match worker {
        WorkerSource::Path(path) => {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        }
        WorkerSource::Module { module } => module.clone(),
    }
}

fn document(functions: &[FunctionInfo], title: &str, base: &str) -> Value {
    let paths: Map<String, Value> = functions
        .iter()
        .map(|function| (format!("/call/{}", escape(&function.name)), path(function)))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": {"Problem": problem()}, "parameters": headers(), "responses": responses()},
    })
}

/// A name in the path of a URL.
fn escape(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn path(function: &FunctionInfo) -> Value {
    let returns = function.returns.as_deref();
    let result = match returns {
        Some(hint) if is_bytes(hint) => json!({"application/octet-stream": {}}),
        hint => contents(hint.map_or(json!({}), schema)),
    };
    let mut answers = json!({"200": {"description": "What the function returned", "content": result}});
    for (status, name) in PROBLEMS {
        answers[status] = json!({"$ref": format!("#/components/responses/{name}")});
    }
    let headers = ["Timeout", "Idempotent", "Affinity", "Traceparent"];
    let mut operation = json!({
        "operationId": function.name,
        "description": format!("`{}{}`", function.name, function.signature),
        "parameters": headers.map(|name| json!({"$ref": format!("#/components/parameters/{name}")})),
        "responses": answers,
    });
    if let Some(doc) = &function.doc {
        operation["summary"] = json!(doc);
    }
    if let Some(body) = body(&function.parameters) {
        operation["requestBody"] = body;
    }
    json!({"post": operation})
}

fn contents(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}, "application/msgpack": {"schema": schema}})
}

/// The argument, as section 4 of `docs/protocol.md` gives it to the parameters; `None` for a
/// function that takes none.
fn body(parameters: &[ParameterInfo]) -> Option<Value> {
    let of = |parameter: &ParameterInfo| parameter.annotation.as_deref().map_or(json!({}), schema);
    let required = parameters.iter().filter(|parameter| parameter.required).count();
    let positional: Vec<&ParameterInfo> = (parameters.iter())
        .filter(|parameter| matches!(parameter.kind.as_str(), "positional_only" | "positional_or_keyword"))
        .collect();
    let needs_keywords =
        parameters.iter().any(|parameter| parameter.required && parameter.kind == "keyword_only");
    if required >= 2 || needs_keywords {
        let object = object(parameters);
        let array =
            json!({"type": "array", "prefixItems": positional.iter().map(|p| of(p)).collect::<Vec<_>>()});
        let either = if needs_keywords { object } else { json!({"anyOf": [object, array]}) };
        return Some(json!({"required": true, "content": contents(either)}));
    }
    match positional.first() {
        Some(first) if first.annotation.as_deref().is_some_and(is_bytes) => {
            let content = json!({"application/octet-stream": {}});
            Some(json!({"required": first.required, "content": content}))
        }
        Some(first) => {
            let mut content = contents(of(first));
            if first.annotation.is_none() {
                content["application/octet-stream"] = json!({});
            }
            Some(json!({"required": first.required, "content": content}))
        }
        None if parameters
            .iter()
            .any(|parameter| matches!(parameter.kind.as_str(), "keyword_only" | "var_keyword")) =>
        {
            Some(json!({"required": false, "content": contents(object(parameters))}))
        }
        None if parameters.is_empty() => None,
        None => Some(json!({"required": true, "content": contents(json!({}))})),
    }
}

/// The keyword arguments.
fn object(parameters: &[ParameterInfo]) -> Value {
    let named = || parameters.iter().filter(|parameter| !parameter.kind.starts_with("var_"));
    let properties: Map<String, Value> = named()
        .map(|parameter| (parameter.name.clone(), parameter.annotation.as_deref().map_or(json!({}), schema)))
        .collect();
    let required: Vec<&str> =
        named().filter(|parameter| parameter.required).map(|parameter| parameter.name.as_str()).collect();
    let open = parameters.iter().any(|parameter| parameter.kind == "var_keyword");
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": open});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

const PROBLEMS: [(&str, &str); 13] = [
    ("400", "BadRequest"),
    ("401", "Unauthorized"),
    ("403", "Forbidden"),
    ("404", "NotFound"),
    ("408", "BodyTimeout"),
    ("413", "TooLarge"),
    ("415", "MediaType"),
    ("421", "Misdirected"),
    ("429", "Overloaded"),
    ("500", "Failed"),
    ("502", "WorkerLost"),
    ("503", "Unavailable"),
    ("504", "Deadline"),
];

fn responses() -> Value {
    let told = [
        "The argument or a header makes no sense; the function did not run",
        "The token is missing or wrong; the function did not run",
        "A page of another origin sent the request; the function did not run",
        "There is no such function",
        "The body took too long to come; the function did not run",
        "The argument is too large; the function did not run",
        "The Content-Type is not taken",
        "The gateway does not answer to this host; the function did not run",
        "The queue is full; the function did not run",
        "The function raised, or its result cannot be sent",
        "The worker died while the call ran",
        "No worker serves, the service shuts down, or too many bodies come at once; the function did not run",
        "The deadline passed",
    ];
    let response = |description: &str| {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        json!({"description": description, "content": {"application/problem+json": {"schema": schema}}})
    };
    let pairs = PROBLEMS.iter().zip(told);
    pairs
        .map(|((_, name), description)| ((*name).to_owned(), response(description)))
        .collect::<Map<_, _>>()
        .into()
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "kind"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "kind": {"type": "string"},
            "may_have_run": {"type": "boolean"},
            "retryable": {"type": "boolean"},
            "retry_after_ms": {"type": "integer"},
            "functions": {"type": "array", "items": {"type": "string"}},
            "exception": {
                "type": "object",
                "properties": {"type": {"type": "string"}, "message": {"type": "string"}, "traceback": {"type": "string"}},
            },
        },
    })
}

fn headers() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "description": description, "schema": schema});
    json!({
        "Timeout": header("X-Pyproc-Timeout-Ms", "The deadline of the call", json!({"type": "integer", "minimum": 1})),
        "Idempotent": header("X-Pyproc-Idempotent", "Whether the call may run again", json!({"enum": ["0", "1"]})),
        "Affinity": header("X-Pyproc-Affinity", "Calls with the same key go to the same worker", json!({"type": "string"})),
        "Traceparent": header("traceparent", "The W3C trace context of the call", json!({"type": "string"})),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{body, document};
    use crate::{FunctionInfo, FunctionKind, ParameterInfo};

    fn parameter(name: &str, kind: &str, required: bool, annotation: Option<&str>) -> ParameterInfo {
        ParameterInfo {
            name: name.into(),
            kind: kind.into(),
            required,
            annotation: annotation.map(Into::into),
        }
    }

    fn json_schema(body: &Value) -> &Value {
        &body["content"]["application/json"]["schema"]
    }

    #[test]
    fn body_is_what_the_binding_of_arguments_takes() {
        let plain = "positional_or_keyword";
        assert_eq!(body(&[]), None);
        let one = body(&[parameter("req", plain, true, Some("dict"))]).expect("it has one");
        assert_eq!((json_schema(&one), &one["required"]), (&json!({"type": "object"}), &json!(true)));
        let optional = body(&[parameter("n", plain, false, Some("int"))]).expect("it has one");
        assert_eq!(
            (json_schema(&optional), &optional["required"]),
            (&json!({"type": "integer"}), &json!(false))
        );
        let two = [parameter("a", plain, true, Some("int")), parameter("b", plain, true, None)];
        let two = body(&two).expect("it has one");
        let object = &json_schema(&two)["anyOf"][0];
        assert_eq!(object["required"], json!(["a", "b"]));
        assert_eq!(object["properties"], json!({"a": {"type": "integer"}, "b": {}}));
        let keyword = body(&[parameter("k", "keyword_only", true, None)]).expect("it has one");
        assert_eq!(json_schema(&keyword)["required"], json!(["k"]));
        let bytes = body(&[parameter("data", plain, true, Some("bytes"))]).expect("it has one");
        assert!(bytes["content"].get("application/json").is_none());
    }

    #[test]
    fn document_has_a_path_per_function_and_knows_where_it_is_mounted() {
        let function = FunctionInfo {
            name: "my func".into(),
            signature: "(req: dict) -> list[int]".into(),
            doc: Some("Does it.".into()),
            kind: FunctionKind::Sync,
            parameters: vec![parameter("req", "positional_or_keyword", true, Some("dict"))],
            returns: Some("list[int]".into()),
        };
        let document = document(&[function], "worker.py", "/python");
        assert_eq!(document["servers"][0]["url"], "/python");
        let operation = &document["paths"]["/call/my%20func"]["post"];
        assert_eq!(operation["summary"], "Does it.");
        let result = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(result, &json!({"type": "array", "items": {"type": "integer"}}));
        for (_, response) in
            operation["responses"].as_object().expect("a map").iter().filter(|(code, _)| *code != "200")
        {
            let name =
                response["$ref"].as_str().and_then(|path| path.rsplit('/').next()).expect("a reference");
            assert!(document["components"]["responses"].get(name).is_some(), "{name}");
        }
    }
}
