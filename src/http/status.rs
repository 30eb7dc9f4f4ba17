//! The HTTP status of each outcome of a call. The main item is [`status`].

use actix_web::http::StatusCode;

use crate::error::CallError;

/// The status of a failed call, and its title in problem details: the table of `docs/gateway.md`.
pub(super) const fn status(error: &CallError) -> (StatusCode, &'static str) {
    match error {
        CallError::Exception { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "The function raised an exception")
        }
        CallError::UnknownFunction { .. } => (StatusCode::NOT_FOUND, "The function does not exist"),
        CallError::Overloaded { .. } => (StatusCode::TOO_MANY_REQUESTS, "The queue is full"),
        CallError::DeadlineExceeded { .. } => (StatusCode::GATEWAY_TIMEOUT, "The deadline passed"),
        CallError::WorkerLost { .. } => (StatusCode::BAD_GATEWAY, "The worker died while the call ran"),
        CallError::Quarantined { .. } => (StatusCode::BAD_GATEWAY, "The call kills its workers"),
        CallError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "No worker serves"),
        CallError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "The service is shutting down"),
        CallError::Encode { ran: true, .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "The result cannot be encoded")
        }
        CallError::Encode { ran: false, .. } => (StatusCode::BAD_REQUEST, "The argument cannot be encoded"),
        CallError::Decode { ran: true, .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "The result cannot be decoded")
        }
        CallError::Decode { ran: false, .. } => (StatusCode::BAD_REQUEST, "The argument cannot be decoded"),
        CallError::InvalidArgument { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The argument does not fit the function")
        }
        CallError::PayloadTooLarge { ran: true, .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "The result is too large")
        }
        CallError::PayloadTooLarge { ran: false, .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "The argument is too large")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use actix_web::ResponseError as _;
    use actix_web::http::header;

    use super::status;
    use crate::error::{
        ArgumentError, ArgumentErrorKind, CallError, ExceptionInfo, Exit, ExitCause, ExitStatus,
    };

    /// An error of each kind, and both sides of those that know whether the function ran.
    fn errors() -> Vec<CallError> {
        let exit = Arc::new(Exit::new(1, ExitStatus::Code(3), ExitCause::Crashed));
        let retry_after = Duration::from_millis(1500);
        let mut errors = vec![
            CallError::exception("E", "m", ExceptionInfo::default()),
            CallError::UnknownFunction { function: "f".into(), known: Arc::new([]) },
            CallError::Overloaded { retry_after },
            CallError::WorkerLost { exit: Arc::clone(&exit), stderr_tail: Arc::new([]), started: true },
            CallError::Quarantined { attempts: 3, exit },
            CallError::Unavailable { cause: None, retry_after },
            CallError::InvalidArgument {
                errors: [ArgumentError::new("x", "m", ArgumentErrorKind::Type)].into(),
            },
            CallError::ShuttingDown,
        ];
        for ran in [false, true] {
            errors.push(CallError::DeadlineExceeded { started: ran });
            errors.push(CallError::Encode { message: "m".into(), ran });
            errors.push(CallError::Decode { message: "m".into(), ran });
            errors.push(CallError::PayloadTooLarge { size: None, limit: 8, ran });
        }
        errors
    }

    /// The rows of the page: a status, its kinds, and whether the function ran.
    fn rows() -> Vec<(u16, BTreeSet<&'static str>, &'static str)> {
        let page = include_str!("../../docs/gateway.md");
        let section = page.split("\n## Outcomes\n").nth(1).and_then(|rest| rest.split("\n## ").next());
        let lines = section.expect("the page has the section").lines();
        let cells = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let rows = cells.filter_map(|cells| {
            let status = cells.get(1)?.parse().ok()?;
            Some((
                status,
                cells[2].split('`').skip(1).step_by(2).collect(),
                *cells.last_chunk::<2>()?.first()?,
            ))
        });
        rows.collect()
    }

    #[test]
    fn page_has_the_status_of_each_kind_and_whether_the_function_ran() {
        let rows = rows();
        assert!(rows.len() > 15, "{rows:?}");
        let mut found = BTreeSet::new();
        for error in errors() {
            let (status, kind) = (status(&error).0.as_u16(), error.kind());
            let row = rows.iter().find(|(row, kinds, _)| *row == status && kinds.contains(kind));
            let (_, _, ran) = row.unwrap_or_else(|| panic!("no row has {status} with {kind}"));
            let may_have_run = error.may_have_run();
            assert!(
                *ran == "as `may_have_run` says" || (*ran != "no") == may_have_run,
                "{status} {kind}: {ran}"
            );
            found.insert((status, kind));
        }
        let kinds: BTreeSet<_> = found.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(kinds.len(), 12, "{kinds:?}");
        for (status, row, _) in &rows {
            for kind in row.iter().filter(|kind| kinds.contains(*kind)) {
                assert!(found.contains(&(*status, kind)), "no error is {status} with {kind}");
            }
        }
    }

    #[actix_rt::test]
    async fn error_of_a_handler_is_the_answer_of_the_gateway_without_details() {
        for error in errors() {
            let response = error.error_response();
            assert_eq!(error.status_code(), response.status());
            let headers = response.headers();
            assert_eq!(headers.get(header::CONTENT_TYPE).expect("it has a type"), "application/problem+json");
            let retry_after =
                headers.get(header::RETRY_AFTER).map(|value| value.to_str().expect("it is ASCII"));
            let expected = match error {
                CallError::Overloaded { .. } | CallError::Unavailable { .. } => Some("2"),
                CallError::ShuttingDown => Some("1"),
                _ => None,
            };
            assert_eq!(retry_after, expected, "{error}");
            let body = actix_web::body::to_bytes(response.into_body()).await.expect("it is in memory");
            let body: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
            assert_eq!(
                (&body["kind"], &body["may_have_run"]),
                (&error.kind().into(), &error.may_have_run().into())
            );
            assert_eq!(body["detail"], error.to_string());
        }
    }
}
