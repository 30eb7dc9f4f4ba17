//! What a gateway shows: OpenAPI, the live page and its control.

use actix_web::{App, test, web};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::client::{post, send, serve};
use crate::support::{capped, front_door, pids, python_with_libraries, scratch, signal, start, worker};

#[actix_rt::test]
async fn open_api_tells_of_signatures_and_type_hints() {
    let served = serve(worker("gateway.py"), |gateway| gateway).await;
    let document = served.get("/openapi.json").await.json();
    assert_eq!(served.get("/functions").await.json(), document);
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("gateway.py")));
    let scale = &document["paths"]["/call/scale"]["post"];
    assert_eq!((&scale["summary"], &scale["operationId"]), (&json!("Scales a value."), &json!("scale")));
    let result = &scale["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(result, &json!({"type": "object", "additionalProperties": {"type": "number"}}));
    let join =
        &document["paths"]["/call/join"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(join["anyOf"][0]["required"], json!(["left", "right"]));
    let strings = json!({"type": "array", "items": {"type": "string"}});
    assert_eq!(join["anyOf"][0]["properties"]["left"], strings);
    let size = &document["paths"]["/call/size"]["post"];
    assert!(size["requestBody"]["content"].get("application/octet-stream").is_some(), "{size}");
    assert_eq!(size["responses"]["422"], json!({"$ref": "#/components/responses/InvalidArgument"}));
    assert!(document["paths"]["/call/metadata"]["post"].get("requestBody").is_none());
    every_reference_leads_somewhere(&document, &document);
    served.stop().await;
}

/// The document, with functions of every kind of annotation, against the schema of OpenAPI 3.1.
#[actix_rt::test]
async fn open_api_is_valid_for_every_row_of_the_front_door() {
    let served = serve(front_door::config(), |gateway| gateway.token("secret")).await;
    let answer = served.get_with("/openapi.json", &[("Authorization", "Bearer secret")]).await;
    let document = answer.json();
    assert!(document["components"]["schemas"].as_object().is_some_and(|schemas| schemas.len() > 5));
    every_reference_leads_somewhere(&document, &document);
    served.stop().await;

    let dir = scratch();
    let path = dir.path().join("openapi.json");
    std::fs::write(&path, &answer.body).expect("there is room");
    let check = "import json, sys, openapi_spec_validator as v\n\
        v.validate(json.load(open(sys.argv[1])), cls=v.OpenAPIV31SpecValidator)";
    let python = std::process::Command::new(python_with_libraries()).args(["-c", check]).arg(&path).output();
    let output = python.expect("there is an interpreter");
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("ModuleNotFoundError") && std::env::var_os("CI").is_none() {
        eprintln!("SKIPPED: openapi-spec-validator is not installed");
        return;
    }
    assert!(output.status.success(), "{error}");
}

fn every_reference_leads_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let found = document.pointer(reference.trim_start_matches('#'));
                assert!(found.is_some(), "{reference}");
            }
            members.values().for_each(|member| every_reference_leads_somewhere(document, member));
        }
        Value::Array(items) => items.iter().for_each(|item| every_reference_leads_somewhere(document, item)),
        _ => {}
    }
}

#[actix_rt::test]
async fn trace_context_reaches_the_function() {
    let served = serve(worker("gateway.py"), |gateway| gateway).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", parent), ("tracestate", "a=b")];
    let answer = served.call_with("metadata", json!(null), &headers).await;
    assert_eq!(answer.json(), json!({"traceparent": parent, "tracestate": "a=b"}));
    served.stop().await;
}

#[actix_rt::test]
async fn handlers_are_mounted_below_any_path() {
    let pool = start(worker("contract.py")).await;
    let routes = actix_pyproc::http::routes(pool.clone());
    let app = test::init_service(App::new().service(web::scope("/python").configure(routes))).await;
    let request = test::TestRequest::post().uri("/python/call/predict").set_json(json!({"value": 3}));
    let reply: Value = test::call_and_read_body_json(&app, request.to_request()).await;
    assert_eq!(reply, json!({"result": 6}));
    let request = test::TestRequest::get().uri("/python/functions").to_request();
    let document: Value = test::call_and_read_body_json(&app, request).await;
    assert_eq!(document["servers"][0]["url"], "/python");
    pool.shutdown().await;
}

#[actix_rt::test]
async fn pages_bring_all_they_need_and_allow_nothing_from_elsewhere() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    for (path, media) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/app.js", "text/javascript; charset=utf-8"),
        ("/docs/schemas.js", "text/javascript; charset=utf-8"),
        ("/docs/style.css", "text/css; charset=utf-8"),
        ("/dashboard", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/charts.js", "text/javascript; charset=utf-8"),
        ("/dashboard/details.js", "text/javascript; charset=utf-8"),
        ("/dashboard/dom.js", "text/javascript; charset=utf-8"),
        ("/dashboard/numbers.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = served.get(path).await;
        assert_eq!((answer.status, answer.media()), (200, media));
        assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'"));
        assert!(!answer.text().contains("https://"), "{path} names another server");
    }
    served.stop().await;
}

#[actix_rt::test]
async fn the_root_leads_people_and_programs_to_what_there_is() {
    for dashboard in [true, false] {
        let served = serve(worker("contract.py"), |gateway| gateway.dashboard(dashboard)).await;
        let answer = served.get("/").await;
        assert_eq!((answer.status, answer.media()), (200, "application/json"));
        let links = answer.json()["links"].clone();
        assert_eq!(links.get("dashboard").is_some(), dashboard);
        for path in links.as_object().expect("they have names").values() {
            let path = path.as_str().expect("it is a path");
            assert_eq!(served.get(&format!("/{path}")).await.status, 200, "{path}");
        }
        let answer = served.get_with("/", &[("Accept", "text/html,*/*;q=0.8")]).await;
        assert_eq!((answer.status, answer.media()), (200, "text/html; charset=utf-8"));
        assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'"));
        assert!(answer.text().contains("href=\"docs\""));
        assert_eq!(answer.text().contains("href=\"dashboard\""), dashboard);
        served.stop().await;
    }
}

#[actix_rt::test]
async fn events_tell_at_once_that_a_worker_was_killed_and_that_the_next_one_serves() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    let mut stream = send(served.address, "GET", "/dashboard/events", &[], b"").await;
    let mut sent = String::new();
    let pid = pids(&served.pool).await[0];
    read_until(&mut stream, &mut sent, &["event: about", "event: hello", &format!("\"pid\":{pid},")]).await;
    sent.clear();
    signal(pid, "KILL");
    read_until(&mut stream, &mut sent, &["event: incidents", "killed by SIGKILL"]).await;
    capped("the next worker", async { while pids(&served.pool).await.is_empty() {} }).await;
    let next = pids(&served.pool).await[0];
    read_until(&mut stream, &mut sent, &[&format!("\"pid\":{next},")]).await;
    read_until(&mut stream, &mut sent, &["event: point"]).await;
    served.stop().await;
}

async fn read_until(stream: &mut tokio::net::TcpStream, sent: &mut String, wanted: &[&str]) {
    capped(wanted[0], async {
        let mut chunk = vec![0; 1 << 16];
        while !wanted.iter().all(|text| sent.contains(text)) {
            let read = stream.read(&mut chunk).await.expect("the gateway runs");
            assert!(read > 0, "the events ended");
            sent.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
    })
    .await;
}

#[actix_rt::test]
async fn orders_are_off_and_with_a_token_only_who_knows_it_gives_them() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    let order = json!({"action": "replace", "slot": 0}).to_string();
    post(served.address, "/dashboard/control", &[("Authorization", "Bearer ")], order.as_bytes())
        .await
        .is_problem(403, "control_off");
    served.stop().await;

    let served = serve(worker("contract.py"), |gateway| gateway.control("secret")).await;
    let before = pids(&served.pool).await;
    let give = |token: &'static str, order: Value| {
        let address = served.address;
        async move {
            let headers = [("Authorization", token), ("Content-Type", "application/json")];
            post(address, "/dashboard/control", &headers, order.to_string().as_bytes()).await
        }
    };
    let replace = json!({"action": "replace", "slot": 0});
    give("Bearer wrong", replace.clone()).await.is_problem(401, "unauthorized");
    give("", replace.clone()).await.is_problem(401, "unauthorized");
    give("Bearer secret", json!({"action": "format"})).await.is_problem(400, "bad_order");
    give("Bearer secret", json!({"action": "replace", "slot": 9})).await.is_problem(409, "not_serving");
    assert_eq!(pids(&served.pool).await, before);

    assert_eq!(give("Bearer secret", replace).await.status, 200);
    capped("the replacement", async { while pids(&served.pool).await == before {} }).await;
    assert_eq!(give("Bearer secret", json!({"action": "reload"})).await.status, 200);
    assert_eq!(give("Bearer secret", json!({"action": "drain"})).await.status, 200);
    capped("the request to drain", served.gateway.drain_asked()).await;
    assert_eq!(served.get("/ready").await.status, 503);
    served.stop().await;
}
