//! Each row of the tables of arguments and results, over HTTP, in JSON and in MessagePack.

use actix_pyproc::error::ArgumentError;
use serde_json::Value;

use crate::client::{Answer, post, serve};
use crate::support::front_door::{Row, config, rows};

const JSON: &str = "application/json";
const MSGPACK: &str = "application/msgpack";
const OCTETS: &str = "application/octet-stream";

fn request(row: &Row, media: &'static str) -> (&'static str, Vec<u8>) {
    match (&row.bytes, &row.argument, row.msgpack()) {
        (Some(bytes), ..) => (OCTETS, bytes.clone()),
        (None, Some(argument), _) if media == JSON => (JSON, argument.to_string().into()),
        (None, _, Some(argument)) => (MSGPACK, rmp_serde::to_vec(argument).expect("it is MessagePack")),
        (None, ..) => (media, Vec::new()),
    }
}

fn check(row: &Row, answer: &Answer) {
    if answer.status == 200 {
        let result: Value = match answer.media() {
            JSON => answer.json(),
            MSGPACK => rmp_serde::from_slice(&answer.body).expect("it is MessagePack"),
            _ => match std::str::from_utf8(&answer.body) {
                Ok(text) => text.into(),
                Err(_) => answer.body.clone().into(),
            },
        };
        return row.expects_result(&result);
    }
    let problem = answer.json();
    let kind = problem["kind"].as_str().unwrap_or_default();
    if kind != "invalid_argument" {
        return row.expects_error(kind, problem["detail"].as_str().unwrap_or_default());
    }
    answer.is_problem(422, kind);
    assert_eq!((&problem["may_have_run"], &problem["retryable"]), (&false.into(), &false.into()));
    let errors: Vec<ArgumentError> =
        serde_json::from_value(problem["errors"].clone()).expect("they have this form");
    row.expects_errors(&errors);
}

#[actix_rt::test]
async fn every_row_of_the_front_door_holds_over_http() {
    let served = serve(config(), |gateway| gateway).await;
    for row in rows(&served.pool) {
        for media in [JSON, MSGPACK] {
            if !row.is_about(if media == JSON { "json" } else { "msgpack" }) {
                continue;
            }
            let (media, body) = request(&row, media);
            let path = format!("/call/{}", row.id);
            check(&row, &post(served.address, &path, &[("Content-Type", media)], &body).await);
        }
    }
    served.stop().await;
}
