//! Each row of the tables of arguments and results, through a pool, in JSON and in MessagePack.

use actix_pyproc::{Call, CallError, Codec, Reply};

use crate::support::front_door::{Row, config, rows};
use crate::support::{capped, start};

fn json(row: &Row) -> Call {
    let name = row.id.clone();
    match (&row.bytes, &row.argument) {
        (Some(bytes), _) => Call::bytes(name, bytes.clone()),
        (None, Some(argument)) => Call::json(name, argument).expect("it is JSON"),
        (None, None) => Call::empty(name),
    }
}

fn msgpack(row: &Row) -> Call {
    let name = row.id.clone();
    match (&row.bytes, row.msgpack()) {
        (Some(bytes), _) => Call::bytes(name, bytes.clone()),
        (None, Some(argument)) => Call::msgpack(name, argument).expect("it is MessagePack"),
        (None, None) => Call::empty_msgpack(name),
    }
}

fn check(row: &Row, outcome: Result<Reply, CallError>) {
    match outcome {
        Ok(reply) => row.expects_result(&reply.value().expect("it is data")),
        Err(CallError::InvalidArgument { errors }) => row.expects_errors(&errors),
        Err(error) => row.expects_error(error.kind(), &error.to_string()),
    }
}

#[actix::test]
async fn every_row_of_the_front_door_holds_in_json_and_in_msgpack() {
    let pool = start(config()).await;
    for row in rows(&pool) {
        for (name, call) in [("json", json(&row)), ("msgpack", msgpack(&row))] {
            if !row.is_about(name) {
                continue;
            }
            let codec = call.codec();
            let outcome = capped(&row.id, pool.request(call)).await;
            if let Ok(reply) = &outcome {
                assert!(reply.codec() == codec || codec == Codec::Bytes || reply.codec() == Codec::Bytes);
            }
            if let Err(error @ CallError::InvalidArgument { .. }) = &outcome {
                assert!(!error.may_have_run());
            }
            check(&row, outcome);
        }
    }
    pool.shutdown().await;
}
