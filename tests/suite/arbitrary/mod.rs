//! Property tests with arbitrary events and arbitrary input from other servers.
//!
//! The function must never panic. An event with a usable ResponseURL must get exactly one valid response.

mod anything;
mod events;
mod one_thing_wrong;
mod parsers;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sha2::{Digest, Sha256};

/// Checks a property with this many cases and prints the seed. A failure is shrunk to a smaller case.
///
/// To repeat a run, set the environment variable `ARBITRARY_SEED` to the printed text. Without it, each run has a new
/// seed.
fn check<S: Strategy>(what: &str, cases: u32, strategy: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seed = std::env::var("ARBITRARY_SEED").unwrap_or_else(|_| now.as_nanos().to_string());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &Sha256::digest(&seed));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let result = TestRunner::new_with_rng(config, rng).run(strategy, property);
    println!("{what}: {cases} cases, ARBITRARY_SEED={seed}");
    if let Err(failure) = result {
        panic!("{what}, ARBITRARY_SEED={seed}: {failure}");
    }
}
