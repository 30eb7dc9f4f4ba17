//! `GET /openapi.json`: describes the workers' functions in OpenAPI 3.1. The main item is
//! [`document`].

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::admission::Allowed;
use crate::backend::kinds::Kinds;
use crate::config::WorkerSource;
use crate::wire::function::{ArgumentInfo, Definitions, FunctionInfo};

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
        .map(|function| (format!("/call/{}", escape(&function.name)), path(function, definitions)))
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

fn path(function: &FunctionInfo, definitions: &Definitions) -> Value {
    let result = result(&function.returns_schema, definitions);
    let mut answers = json!({"200": {"description": "The result of the function", "content": result}});
    for (status, name, _) in PROBLEMS {
        answers[status] = json!({"$ref": format!("#/components/responses/{name}")});
    }
    let headers = ["Timeout", "Idempotent", "Affinity", "Traceparent"];
    let mut operation = json!({
        "operationId": function.name,
        "x-python": python(function),
        "parameters": headers.map(|name| json!({"$ref": format!("#/components/parameters/{name}")})),
        "responses": answers,
    });
    if let Some(summary) = function.summary() {
        operation["summary"] = json!(summary);
        operation["description"] = json!(function.doc);
    }
    if let Some(body) = function.argument.as_ref().map(body) {
        operation["requestBody"] = body;
    }
    json!({"post": operation})
}

/// What OpenAPI has no place for.
fn python(function: &FunctionInfo) -> Value {
    let names: Vec<&str> = function.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    json!({
        "signature": function.signature,
        "kind": function.kind,
        "parameters": names,
        "warnings": function.warnings,
    })
}

/// The request body: the argument, as the worker binds it.
fn body(argument: &ArgumentInfo) -> Value {
    let ArgumentInfo { schema, required, bytes } = argument;
    let mut content = json!({JSON: {"schema": schema}, MSGPACK: {"schema": schema}});
    if *bytes {
        content[OCTETS] = json!({});
    }
    json!({"required": required, "content": content})
}

/// The contents of a response. Bytes are sent as they are, or as those of MessagePack.
fn result(schema: &Value, definitions: &Definitions) -> Value {
    let mut content = json!({MSGPACK: {"schema": schema}});
    let kinds = Kinds::of_schema(schema, definitions);
    if kinds != Kinds::BYTES {
        content[JSON] = json!({"schema": schema});
    }
    if kinds != Kinds::ANY && kinds.meets(Kinds::BYTES) {
        content[OCTETS] = json!({});
    }
    content
}

const JSON: &str = "application/json";
const MSGPACK: &str = "application/msgpack";
const OCTETS: &str = "application/octet-stream";

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

    use super::{OCTETS, document};
    use crate::wire::function::{Definitions, FunctionInfo, golden};

    fn documented(function: FunctionInfo, definitions: &Definitions) -> Value {
        let operation = document(&[function], definitions, "worker.py", "/python");
        operation["paths"].as_object().expect("a map").values().next().expect("one")["post"].clone()
    }

    #[test]
    fn body_of_each_golden_function_is_what_its_worker_binds() {
        for golden in golden::bound() {
            let argument = golden.ready.argument.clone();
            let operation = documented(golden.ready, &golden.definitions);
            let body = operation.get("requestBody");
            let Some(argument) = argument else {
                assert_eq!(body, None);
                continue;
            };
            let body = body.expect("it has one");
            assert_eq!(body["content"]["application/json"]["schema"], argument.schema);
            assert_eq!(body["required"], argument.required);
            assert_eq!(body["content"].get(OCTETS).is_some(), argument.bytes);
        }
    }

    #[test]
    fn bytes_are_an_answer_without_a_schema() {
        let answer = |schema: Value| {
            let function = json!({"name": "f", "kind": "sync", "returns_schema": schema});
            let function = serde_json::from_value(function).expect("the rest has defaults");
            let operation = documented(function, &Definitions::new());
            let content = operation["responses"]["200"]["content"].clone();
            (content.get("application/json").is_some(), content.get(OCTETS).is_some())
        };
        let bytes = json!({"type": "string", "contentEncoding": "base64"});
        assert_eq!(answer(bytes.clone()), (false, true));
        assert_eq!(answer(json!({"anyOf": [bytes, {"type": "null"}]})), (true, true));
        assert_eq!(answer(json!({"type": "array"})), (true, false));
        assert_eq!(answer(json!({})), (true, false));
    }

    #[test]
    fn document_has_a_path_per_function_and_knows_where_it_is_mounted() {
        let function = json!({
            "name": "my func",
            "signature": "(req: dict) -> list[int]",
            "doc": "Does it.\n\nSlowly.",
            "kind": "sync",
            "binding": "whole",
            "parameters": [{"name": "req", "kind": "positional_or_keyword", "required": true}],
            "argument": {"schema": {"type": "object"}, "required": true, "bytes": false},
            "returns_schema": {"type": "array", "items": {"type": "integer"}},
        });
        let function: FunctionInfo = serde_json::from_value(function).expect("it has this form");
        // A class may have any name that Python allows.
        let definitions = json!({"Problem": {"type": "object"}});
        let definitions = definitions.as_object().expect("it is one");
        let document = document(&[function], definitions, "worker.py", "/python");
        assert_eq!(document["servers"][0]["url"], "/python");
        assert_eq!(document["components"]["schemas"]["Problem"], json!({"type": "object"}));
        let operation = &document["paths"]["/call/my%20func"]["post"];
        assert_eq!(operation["summary"], "Does it.");
        assert_eq!(operation["description"], "Does it.\n\nSlowly.");
        assert_eq!(operation["x-python"]["parameters"], json!(["req"]));
        let result = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(result, &json!({"type": "array", "items": {"type": "integer"}}));
        let responses = operation["responses"].as_object().expect("a map");
        for (_, response) in responses.iter().filter(|(code, _)| *code != "200") {
            let reference = response["$ref"].as_str().expect("a reference");
            let found = document.pointer(reference.trim_start_matches('#')).expect("it is there");
            let schema = &found["content"]["application/problem+json"]["schema"]["$ref"];
            let schema = schema.as_str().expect("a reference").trim_start_matches('#');
            assert!(document.pointer(schema).is_some_and(|schema| schema.get("properties").is_some()));
        }
        let errors = "/components/schemas/pyproc-Problem/properties/errors/items/required";
        assert_eq!(document.pointer(errors), Some(&json!(["path", "message", "kind"])));
    }
}
