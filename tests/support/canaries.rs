//! The search for secrets, in everything that the function says.
//!
//! All secrets of a test world carry one mark: the token, each secret key, Docker Hub's token, the signature of the
//! ResponseURL. So one search finds all of them, in whatever way they are written; and pieces of them, where the mark itself
//! was cut off.

use std::cell::RefCell;
use std::sync::Once;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::bucket::SIGNATURE;
use super::{World, locked};

/// In every secret.
pub const MARK: &str = "c4n4ry";
/// A piece of a secret that is no accident any more.
const PIECE: usize = 12;

thread_local! {
    // A test never leaves its thread, and neither does the function in it.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes every panic's message, also of those that the function catches; they are printed as ever.
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
    /// No secret is in any log line, answer, error or panic's message.
    #[track_caller]
    pub fn nothing_leaked(&self) {
        if let Some(leak) = self.leak() {
            panic!("{leak}");
        }
    }

    /// Where a secret is to be read, if anywhere.
    pub fn leak(&self) -> Option<String> {
        let secrets = self.known_secrets();
        self.said().iter().find_map(|(place, text)| {
            let form = found(text, &secrets)?;
            Some(format!("a secret has leaked into {place}, written {form}"))
        })
    }

    /// Everything that the function has said so far, with where.
    fn said(&self) -> Vec<(&'static str, String)> {
        let answers =
            self.bucket.puts().into_iter().map(|put| ("an answer", String::from_utf8_lossy(&put.body).into_owned()));
        let errors = locked(&self.errors).clone().into_iter().map(|error| ("an error", error));
        let panics =
            PANICS.with(|panics| panics.borrow().clone()).into_iter().map(|panic| ("a panic's message", panic));
        answers.chain(errors).chain(panics).chain([("the log", self.logs.text())]).collect()
    }

    /// Everything that must never be printed, as far as this world knows it.
    pub fn known_secrets(&self) -> Vec<String> {
        self.aws.secrets().into_iter().chain([self.coiled.token(), SIGNATURE.to_owned()]).collect()
    }
}

/// For the tests of the search itself.
impl World {
    /// An error as an invocation might end with.
    pub fn plant_error(&self, words: &str) {
        locked(&self.errors).push(words.to_owned());
    }

    /// Hands an event over whose answer is not looked at.
    pub async fn hand_over_unseen(&self, event: serde_json::Value) {
        self.deploy(&event);
        drop(self.hand_over(event).await);
    }

    /// Forgets all that was said.
    pub fn forget_what_was_said(&self) {
        locked(&self.errors).clear();
        PANICS.with(|panics| panics.borrow_mut().clear());
        self.logs.clear();
        self.bucket.forget();
    }
}

/// No test can forget to look.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.nothing_leaked();
        }
    }
}

/// How a secret is written in a text, if it is there.
pub fn found(text: &str, secrets: &[String]) -> Option<&'static str> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let plain = text.replace("\\/", "/").replace("\\u002f", "/").replace("\\u002b", "+").replace("\\u002d", "-");
    let is_in = |piece: &str| plain.contains(piece) || decoded.contains(piece);
    if is_in(MARK) {
        return Some("with its mark");
    }
    if base64_forms(MARK).iter().any(|form| text.contains(form.as_str())) {
        return Some("in base64");
    }
    let pieces = secrets.iter().filter(|secret| secret.is_ascii()).flat_map(|secret| {
        (0..secret.len().saturating_sub(PIECE - 1)).filter_map(|at| secret.get(at..at + PIECE)).step_by(PIECE / 2)
    });
    let mut pieces = pieces.map(|piece| (piece, utf8_percent_encode(piece, NON_ALPHANUMERIC).to_string()));
    pieces.any(|(piece, encoded)| is_in(piece) || text.contains(&encoded)).then_some("in pieces")
}

/// The three ways in which base64 writes a text inside another, without the characters that its neighbours share.
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
