//! What nobody has thought of: events of any shape, and what other servers may say. Always one valid answer where there is
//! somewhere to send it, and never a panic.

mod anything;
mod events;
mod one_thing_wrong;
mod parsers;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sha2::{Digest, Sha256};

/// Runs cases of a property and says how many; a failure is shrunk, and named with the seed that brings it back.
///
/// `ARBITRARY_SEED` is any text; without it, it is another one each time.
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
