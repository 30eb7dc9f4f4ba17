//! Typed calls of a fake pool.

use actix_pyproc::testing::FakePool;
use actix_pyproc::{Pool, Reply, StartError};
use serde_json::{Value, json};

actix_pyproc::functions! {
    struct Model {
        fn divide(a: f64, b: f64) -> f64;
        fn embed(texts: &[String]) -> Vec<f64> as msgpack = "model.embed";
        fn shout(text: bytes::Bytes) -> bytes::Bytes as bytes;
        fn forget();
    }
}

#[actix_rt::test]
async fn typed_calls_need_no_declaration() {
    let pool = Pool::fake(|call| async move {
        match call.function() {
            "divide" => {
                let argument: Value = call.argument()?;
                let number = |name: &str| argument[name].as_f64().expect("it is a number");
                call.reply(&(number("a") / number("b")))
            }
            "model.embed" => {
                call.reply(&call.argument::<Vec<String>>()?.iter().map(String::len).collect::<Vec<_>>())
            }
            "shout" => Ok(Reply::from_bytes(call.payload().to_ascii_uppercase())),
            _ => call.reply(&json!(null)),
        }
    });
    let model: Model = pool.typed().expect("there is nothing to check");
    assert_eq!(model.divide(1.0, 2.0).await.expect("it replies"), 0.5);
    assert_eq!(model.embed(&["ab".to_owned(), "c".to_owned()]).await.expect("it replies"), [2.0, 1.0]);
    assert_eq!(model.shout("abc".into()).await.expect("it replies"), "ABC");
    model.forget().await.expect("it replies");
}

#[actix_rt::test]
async fn names_are_checked_if_there_are_names() {
    let start = |names: &[&str]| {
        let pool = FakePool::new(|call| async move { call.reply(&1) }).functions(names.iter().copied());
        pool.start().expect("the configuration is valid").typed::<Model>()
    };
    assert!(start(&["divide", "model.embed", "shout", "forget"]).is_ok());
    let error = start(&["divide", "shout", "forget"]).expect_err("one is missing");
    assert!(
        matches!(&error, StartError::Signature { problems } if problems.len() == 1 && problems[0].contains("model.embed")),
        "{error:?}"
    );
}
