//! Recognizes handwritten digits with a scikit-learn model in two processes.
//!
//!     cargo run --release --example scikit_learn

#[path = "../support/venv.rs"]
mod venv;

use std::time::Instant;

use actix_pyproc::{CallError, Pool, PoolConfig};
use bytes::Bytes;
use futures::future::try_join_all;
use serde::Deserialize;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/scikit_learn/worker.py");

/// Images of 64 pixels, and the digits that they show.
#[derive(Deserialize)]
struct TestSet {
    images: Vec<Vec<u8>>,
    answers: Vec<u8>,
}

actix_pyproc::functions! {
    /// The functions of worker.py.
    struct Digits {
        fn test_set() -> TestSet;
        fn predict(image: &[u8]) -> u8;
        fn predict_proba(image: &[u8]) -> Vec<f64>;
        fn predict_all(images: Bytes) -> Bytes as bytes;
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let python = venv::python("scikit_learn");
    let begun = Instant::now();
    // The processes run in parallel; the threads of numpy in each of them would compete for the
    // cores.
    let config = PoolConfig::new(WORKER).python(python).workers(2).env("OMP_NUM_THREADS", "1");
    let digits: Digits = Pool::start_typed(config).await?;
    println!("Two workers trained their models in {:.1?}.", begun.elapsed());

    let TestSet { images, answers } = digits.test_set().await?;
    show("test_set()", format!("{} images of handwritten digits", images.len()));

    let begun = Instant::now();
    let calls = images.iter().map(|image| digits.predict(image));
    let read: Vec<u8> = try_join_all(calls).await?;
    let took = begun.elapsed();
    let rate = images.len() as f64 / took.as_secs_f64();
    let right = read.iter().zip(&answers).filter(|(read, answer)| read == answer).count();
    let accuracy = right as f64 / answers.len() as f64;
    show(
        &format!("{} times predict(image)", images.len()),
        format!("{right} are right, {:.1} %; {took:.0?}, {rate:.0} calls/s", accuracy * 100.0),
    );
    assert!(accuracy > 0.9, "the model recognizes most digits");
    doubts(&digits, &images, &answers, &read).await?;

    // The same images in one call, without JSON: the bytes of the numpy array.
    let all = Bytes::from(images.concat());
    let (size, begun) = (all.len(), Instant::now());
    let read_at_once = digits.predict_all(all).await?;
    assert_eq!(read_at_once, read, "one call with all images returns the same digits as many calls");
    show(
        &format!("predict_all({size} bytes)"),
        format!("the same {} digits; {:.1?}", read_at_once.len(), begun.elapsed()),
    );
    digits.as_ref().shutdown().await;
    Ok(())
}

/// Prints how sure the model was of the first images that it misread.
async fn doubts(digits: &Digits, images: &[Vec<u8>], answers: &[u8], read: &[u8]) -> Result<(), CallError> {
    let wrong = (0..images.len()).filter(|&at| read[at] != answers[at]).take(3);
    for (read, answer, image) in wrong.map(|at| (read[at], answers[at], &images[at])) {
        let sure = digits.predict_proba(image).await?;
        let [of_read, of_answer] = [read, answer].map(|digit| sure[usize::from(digit)] * 100.0);
        show(
            &format!("predict_proba(a {answer})"),
            format!("{answer} with {of_answer:.0} %, but {read} with {of_read:.0} %"),
        );
    }
    Ok(())
}

fn show(call: &str, result: impl std::fmt::Display) {
    println!("    {call:<26} -> {result}");
}
