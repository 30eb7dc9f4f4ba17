//! Finds the sentences that are closest to a question, with a language model in a Python process.
//!
//!     cargo run --release --example sentence_embedding -- "What do birds do in winter?"
//!
//! It needs Python 3.10 or later and installs several gigabytes.

#[path = "../support/venv.rs"]
mod venv;

use std::time::{Duration, Instant};

use actix_pyproc::{CallError, Pool, PoolConfig};
use bytes::Bytes;
use futures::future::try_join_all;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sentence_embedding/worker.py");

/// The length of the vectors of this model.
const DIMENSIONS: usize = 384;

/// The number of sentences in one call.
const PIECE: usize = 4;

const SENTENCES: [&str; 12] = [
    "Swallows fly to Africa before the first frost.",
    "Bread rises because yeast makes gas out of sugar.",
    "The train to the coast leaves at half past nine.",
    "Interest rates went up for the third time this year.",
    "A tyre that has too little air wears down at its edges.",
    "Tomatoes need sun, water and something to climb on.",
    "The orchestra tunes to the note of the oboe.",
    "Hedgehogs sleep from November until the spring.",
    "She scored twice in the last minutes of the match.",
    "A process that has died is waited for by its parent.",
    "The doctor told him to drink more and to rest.",
    "Salt lowers the temperature at which water freezes.",
];

actix_pyproc::functions! {
    /// The functions of worker.py. The result is raw bytes for every argument.
    struct Model {
        fn embed(sentences: &[&str]) -> Bytes;
    }
}

type Vector = Vec<f32>;

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let questions: Vec<String> = std::env::args().skip(1).collect();
    let questions = match questions.iter().map(String::as_str).collect::<Vec<_>>() {
        asked if asked.is_empty() => {
            vec!["How do animals get through the cold season?", "Why is my program leaving zombies?"]
        }
        asked => asked,
    };
    let python = venv::python("sentence_embedding");
    let begun = Instant::now();
    // The model is part of the package, so nothing is downloaded.
    let config = PoolConfig::new(WORKER).python(python).workers(1).env("HF_HUB_OFFLINE", "1");
    let model: Model = Pool::start_typed(config.start_timeout(Duration::from_secs(120))).await?;
    println!("Loaded the model in {:.1?}.", begun.elapsed());

    let begun = Instant::now();
    let pieces = try_join_all(SENTENCES.chunks(PIECE).map(|piece| embed(&model, piece))).await?;
    let vectors: Vec<Vector> = pieces.concat();
    assert_eq!(vectors.len(), SENTENCES.len(), "each sentence has a vector");
    println!(
        "{} calls of embed() returned {} vectors in {:.0?}.",
        pieces.len(),
        vectors.len(),
        begun.elapsed()
    );

    for (question, vector) in questions.iter().zip(embed(&model, &questions).await?) {
        let mut near: Vec<(f32, &str)> = vectors.iter().map(|it| dot(it, &vector)).zip(SENTENCES).collect();
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        println!("\n{question}");
        for (nearness, sentence) in &near[..3] {
            println!("    {nearness:5.2}  {sentence}");
        }
    }
    model.as_ref().shutdown().await;
    Ok(())
}

async fn embed(model: &Model, sentences: &[&str]) -> Result<Vec<Vector>, CallError> {
    let bytes = model.embed(sentences).await?;
    let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let numbers: Vec<f32> = bytes.chunks_exact(4).map(number).collect();
    Ok(numbers.chunks_exact(DIMENSIONS).map(<[f32]>::to_vec).collect())
}

/// For vectors of length 1, the cosine of the angle between them.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}
