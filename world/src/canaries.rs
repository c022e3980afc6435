//! Searches everything that the function outputs for secrets.
//!
//! Every secret of a test world contains the canary: the token, each secret access key, the Docker Hub token and the
//! signature of the ResponseURL. One search therefore finds all of them, in every encoding. It also finds pieces of a
//! secret whose canary was cut off.

use std::cell::RefCell;
use std::sync::Once;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::bucket::SIGNATURE;
use super::{World, locked};

/// The text that every secret contains.
pub const CANARY: &str = "c4n4ry";
/// A piece of a secret counts as a leak if it has at least this many characters. Shorter matches can be coincidence.
const PIECE: usize = 12;

thread_local! {
    // Each test runs on one thread, and so does the function in it. A thread-local list therefore belongs to one test.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Records the message of every panic, including panics that the function catches. They are still printed.
pub fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = PANICS.try_with(|panics| panics.borrow_mut().push(panic.to_string()));
            print(panic);
        }));
    });
}

impl World {
    /// Panics if a secret is in a log line, a response, an error or a panic message.
    #[track_caller]
    pub fn nothing_leaked(&self) {
        if let Some(leak) = self.leak() {
            panic!("{leak}");
        }
    }

    /// Describes the first leak that is found, or returns `None`.
    pub fn leak(&self) -> Option<String> {
        let secrets = self.known_secrets();
        self.outputs().iter().find_map(|(place, text)| {
            let form = found(text, &secrets)?;
            Some(format!("a secret leaked into {place} ({form})"))
        })
    }

    /// Everything that the function has output so far, each with the place where it appeared.
    fn outputs(&self) -> Vec<(&'static str, String)> {
        let responses =
            self.bucket.puts().into_iter().map(|put| ("a response", String::from_utf8_lossy(&put.body).into_owned()));
        let errors = locked(&self.errors).clone().into_iter().map(|error| ("an error", error));
        let panics = PANICS.with(|panics| panics.borrow().clone()).into_iter().map(|panic| ("a panic message", panic));
        responses.chain(errors).chain(panics).chain([("the log", self.logs.text())]).collect()
    }

    /// Every secret that this world has handed out.
    pub fn known_secrets(&self) -> Vec<String> {
        self.aws.secrets().into_iter().chain([self.coiled.token(), SIGNATURE.to_owned()]).collect()
    }
}

/// Helpers for the tests of the search itself.
impl World {
    /// Records an error as if an invocation had returned it.
    pub fn plant_error(&self, words: &str) {
        locked(&self.errors).push(words.to_owned());
    }

    /// Passes an event to the function without any check of the response.
    pub async fn hand_over_unseen(&self, event: serde_json::Value) {
        self.deploy(&event);
        drop(self.hand_over(event).await);
    }

    /// Clears all recorded output, so that `Drop` does not report a leak that the test planted.
    pub fn forget_what_was_said(&self) {
        locked(&self.errors).clear();
        PANICS.with(|panics| panics.borrow_mut().clear());
        self.logs.clear();
        self.bucket.forget();
    }
}

/// The search runs in `Drop`, so that no test can leave it out.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.nothing_leaked();
        }
    }
}

/// Returns the form in which a secret appears in a text, or `None` if no secret is found.
pub fn found(text: &str, secrets: &[String]) -> Option<&'static str> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let plain = text.replace("\\/", "/").replace("\\u002f", "/").replace("\\u002b", "+").replace("\\u002d", "-");
    let is_in = |piece: &str| plain.contains(piece) || decoded.contains(piece);
    if is_in(CANARY) {
        return Some("with its canary");
    }
    if base64_forms(CANARY).iter().any(|form| text.contains(form.as_str())) {
        return Some("in base64");
    }
    let pieces = secrets.iter().filter(|secret| secret.is_ascii()).flat_map(|secret| {
        (0..secret.len().saturating_sub(PIECE - 1)).filter_map(|at| secret.get(at..at + PIECE)).step_by(PIECE / 2)
    });
    let mut pieces = pieces.map(|piece| (piece, utf8_percent_encode(piece, NON_ALPHANUMERIC).to_string()));
    pieces.any(|(piece, encoded)| is_in(piece) || text.contains(&encoded)).then_some("in pieces")
}

/// The three base64 forms of a text inside another text, one per byte offset. Characters that also encode neighboring
/// bytes are left out.
fn base64_forms(text: &str) -> Vec<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..3)
        .map(|shift| {
            let bytes: Vec<u8> = vec![0; shift].into_iter().chain(text.bytes()).collect();
            let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            let first = (shift * 8).div_ceil(6) * 6;
            let sextets =
                (first..bits.len() - 5).step_by(6).map(|at| usize::from_str_radix(&bits[at..at + 6], 2).unwrap());
            sextets.map(|sextet| char::from(ALPHABET[sextet])).collect()
        })
        .collect()
}
