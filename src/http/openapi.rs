//! `GET /openapi.json`: describes the workers' functions in OpenAPI 3.1. The main item is
//! [`document`].

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::admission::Allowed;
use super::schema::schema;
use crate::config::WorkerSource;
use crate::wire::function::{Binding, Definitions, FunctionInfo, ParameterInfo, ParameterKind, TypeInfo};

pub(super) async fn functions(Allowed(gateway): Allowed, request: HttpRequest) -> HttpResponse {
    let pool = gateway.pool();
    // The path at which the application mounted the handlers.
    let base = request.path().rsplit_once('/').map_or("", |(base, _)| base);
    let base = if base.is_empty() { "/" } else { base };
    let (functions, definitions) = pool.described();
    let mut document = document(&functions, &definitions, &title(&pool.config().worker), base);
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

fn document(functions: &[FunctionInfo], definitions: &Definitions, title: &str, base: &str) -> Value {
    let paths: Map<String, Value> = functions
        .iter()
        .map(|function| (format!("/call/{}", escape(&function.name)), path(function)))
        .collect();
    let mut schemas = definitions.clone();
    schemas.insert(PROBLEM.to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": schemas, "parameters": headers(), "responses": responses()},
    })
}

/// Escapes a name for the path of a URL.
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
    let result = match &function.returns_type {
        TypeInfo::Bytes => json!({"application/octet-stream": {}}),
        returned => contents(schema(returned)),
    };
    let mut answers = json!({"200": {"description": "The result of the function", "content": result}});
    for (status, name, _) in PROBLEMS {
        answers[status] = json!({"$ref": format!("#/components/responses/{name}")});
    }
    let headers = ["Timeout", "Idempotent", "Affinity", "Traceparent"];
    let names: Vec<&str> = function.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let mut operation = json!({
        "operationId": function.name,
        "x-python": {"signature": function.signature, "kind": function.kind, "parameters": names},
        "parameters": headers.map(|name| json!({"$ref": format!("#/components/parameters/{name}")})),
        "responses": answers,
    });
    if let Some(summary) = function.summary() {
        operation["summary"] = json!(summary);
        operation["description"] = json!(function.doc);
    }
    if let Some(body) = body(function) {
        operation["requestBody"] = body;
    }
    json!({"post": operation})
}

fn contents(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}, "application/msgpack": {"schema": schema}})
}

/// The request body: the argument, as the worker binds it. A function without parameters has none.
fn body(function: &FunctionInfo) -> Option<Value> {
    let parameters = &function.parameters[..];
    let (required, content) = match function.binding {
        Binding::Nothing => return None,
        Binding::Unknown | Binding::Single | Binding::Named | Binding::Keywords => (false, whole(None)),
        Binding::Whole => (true, whole(parameters.first())),
        Binding::WholeOrDefault => (false, whole(parameters.first())),
        Binding::ByName => {
            (parameters.iter().any(|parameter| parameter.required), contents(object(parameters)))
        }
        Binding::ByNameOrPosition => {
            (true, contents(json!({"anyOf": [object(parameters), array(parameters)]})))
        }
    };
    Some(json!({"required": required, "content": content}))
}

/// The contents of a body that is passed to one parameter as it is.
fn whole(parameter: Option<&ParameterInfo>) -> Value {
    let octets = "application/octet-stream";
    match parameter {
        Some(ParameterInfo { type_info: TypeInfo::Bytes, .. }) => json!({octets: {}}),
        Some(ParameterInfo { annotation: Some(_), type_info, .. }) => contents(schema(type_info)),
        _ => {
            let mut content = contents(json!({}));
            content[octets] = json!({});
            content
        }
    }
}

/// An array of positional arguments.
fn array(parameters: &[ParameterInfo]) -> Value {
    let positional = parameters.iter().filter(|parameter| {
        matches!(parameter.kind, ParameterKind::PositionalOnly | ParameterKind::PositionalOrKeyword)
    });
    let items: Vec<Value> = positional.map(|parameter| schema(&parameter.type_info)).collect();
    json!({"type": "array", "prefixItems": items})
}

/// An object of keyword arguments.
fn object(parameters: &[ParameterInfo]) -> Value {
    let named = || parameters.iter().filter(|parameter| !parameter.kind.is_variadic());
    let properties: Map<String, Value> =
        named().map(|parameter| (parameter.name.clone(), schema(&parameter.type_info))).collect();
    let required: Vec<&str> =
        named().filter(|parameter| parameter.required).map(|parameter| parameter.name.as_str()).collect();
    let open = parameters.iter().any(|parameter| parameter.kind == ParameterKind::VarKeyword);
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": open});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// The name of the schema of failed calls. No Python class can have it.
const PROBLEM: &str = "pyproc-Problem";

/// The responses of failed calls: status, name and description.
const PROBLEMS: [(&str, &str, &str); 14] = [
    ("400", "BadRequest", "The argument or a header is invalid; the function did not run"),
    ("401", "Unauthorized", "The token is missing or wrong; the function did not run"),
    ("403", "Forbidden", "A page of another origin sent the request; the function did not run"),
    ("404", "NotFound", "The function does not exist"),
    ("408", "BodyTimeout", "The body took too long to arrive; the function did not run"),
    ("413", "TooLarge", "The argument is too large; the function did not run"),
    ("415", "MediaType", "The Content-Type is not supported"),
    ("421", "Misdirected", "The gateway does not serve this host; the function did not run"),
    (
        "422",
        "InvalidArgument",
        "The argument does not fit the parameters or their annotations; the function did not run",
    ),
    ("429", "Overloaded", "The queue is full; the function did not run"),
    ("500", "Failed", "The function raised, or its result cannot be sent"),
    ("502", "WorkerLost", "The worker died while the call ran"),
    (
        "503",
        "Unavailable",
        "No worker serves, the service is shutting down, or too many bodies arrive at once; the function did not run",
    ),
    ("504", "Deadline", "The deadline passed"),
];

fn responses() -> Value {
    let response = |description: &str| {
        let schema = json!({"$ref": format!("#/components/schemas/{PROBLEM}")});
        json!({"description": description, "content": {"application/problem+json": {"schema": schema}}})
    };
    PROBLEMS
        .iter()
        .map(|(_, name, description)| ((*name).to_owned(), response(description)))
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
            "errors": {
                "description": "Where the argument does not fit",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path", "message", "kind"],
                    "properties": {
                        "path": {"type": "string", "examples": ["items[2].price"]},
                        "message": {"type": "string"},
                        "kind": {"enum": ["missing", "unknown", "type", "value"]},
                    },
                },
            },
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
    use crate::wire::function::{
        Binding, Definitions, FunctionInfo, FunctionKind, ParameterInfo, ParameterKind, TypeInfo, golden,
    };

    fn parameter(
        name: &str,
        kind: ParameterKind,
        required: bool,
        annotated: Option<(&str, TypeInfo)>,
    ) -> ParameterInfo {
        let (annotation, type_info) =
            annotated.map_or((None, TypeInfo::Any), |(text, stated)| (Some(text.into()), stated));
        ParameterInfo {
            name: name.into(),
            kind,
            required,
            annotation,
            type_info,
            schema: json!({}),
            default: None,
        }
    }

    fn function(binding: Binding, parameters: Vec<ParameterInfo>) -> FunctionInfo {
        FunctionInfo {
            name: "my func".into(),
            signature: "(req: dict) -> list[int]".into(),
            doc: Some("Does it.".into()),
            kind: FunctionKind::Sync,
            binding,
            parameters,
            returns: Some("list[int]".into()),
            returns_type: TypeInfo::List(Some(Box::new(TypeInfo::Int))),
            argument: None,
            returns_schema: json!({}),
            warnings: Vec::new(),
        }
    }

    fn json_schema(body: &Value) -> &Value {
        &body["content"]["application/json"]["schema"]
    }

    #[test]
    fn body_is_what_the_binding_of_arguments_takes() {
        let plain = ParameterKind::PositionalOrKeyword;
        let (dict, int) = (Some(("dict", TypeInfo::Dict(None))), || Some(("int", TypeInfo::Int)));
        let of = |binding, parameters| body(&function(binding, parameters));
        assert_eq!(of(Binding::Nothing, vec![]), None);
        let one = of(Binding::Whole, vec![parameter("req", plain, true, dict)]).expect("it has one");
        assert_eq!((json_schema(&one), &one["required"]), (&json!({"type": "object"}), &json!(true)));
        let optional =
            of(Binding::WholeOrDefault, vec![parameter("n", plain, false, int())]).expect("it has one");
        assert_eq!(
            (json_schema(&optional), &optional["required"]),
            (&json!({"type": "integer"}), &json!(false))
        );
        let two = vec![parameter("a", plain, true, int()), parameter("b", plain, true, None)];
        let two = of(Binding::ByNameOrPosition, two).expect("it has one");
        let object = &json_schema(&two)["anyOf"][0];
        assert_eq!(object["required"], json!(["a", "b"]));
        assert_eq!(object["properties"], json!({"a": {"type": "integer"}, "b": {}}));
        let keyword = parameter("k", ParameterKind::KeywordOnly, true, None);
        let keyword = of(Binding::ByName, vec![keyword]).expect("it has one");
        assert_eq!(json_schema(&keyword)["required"], json!(["k"]));
        let data = parameter("data", plain, true, Some(("bytes", TypeInfo::Bytes)));
        let bytes = of(Binding::Whole, vec![data]).expect("it has one");
        assert!(bytes["content"].get("application/json").is_none());
    }

    #[test]
    fn body_of_each_golden_function_is_what_its_worker_binds() {
        for golden in golden::functions() {
            assert_eq!(body(&golden.ready), golden.body, "{}", golden.ready.signature);
        }
    }

    #[test]
    fn document_has_a_path_per_function_and_knows_where_it_is_mounted() {
        let dict = Some(("dict", TypeInfo::Dict(None)));
        let parameters = vec![parameter("req", ParameterKind::PositionalOrKeyword, true, dict)];
        let function = function(Binding::Whole, parameters);
        let document = document(&[function], &Definitions::new(), "worker.py", "/python");
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
