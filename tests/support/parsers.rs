//! Runs every parser of outside input on arbitrary bytes. No parser may panic, and each function checks what must
//! always hold. The property tests and the targets in `fuzz/` call these functions.

use coiled_aws_stack::aws::iam::Account;
use coiled_aws_stack::aws::iam::document::same;
use coiled_aws_stack::aws::secrets;
use coiled_aws_stack::cloudformation::destination;
use coiled_aws_stack::cloudformation::request::Envelope;
use coiled_aws_stack::coiled::connection::Shown;
use coiled_aws_stack::coiled::{http, socket};
use coiled_aws_stack::properties::tags::keys_leniently;
use coiled_aws_stack::properties::{Remnant, Spec};
use coiled_aws_stack::redact::{ResponseUrl, scrub, shorten};
use coiled_aws_stack::resource::lease::Lease;
use coiled_aws_stack::resource::ownership::OwnershipTags;
use coiled_aws_stack::resource::record::{Digests, is_own_registration};
use coiled_aws_stack::tag::Tag;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// Parses a request, and reads its properties with the strict and the lenient reader.
pub fn request(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let envelope = Envelope::read(&event);
    assert!((1..=1024).contains(&envelope.physical_resource_id().to_string().len()));
    assert_eq!(envelope.physical_resource_id(), Envelope::read(&event).physical_resource_id());
    let stack = envelope.stack();
    if let Some(url) = &envelope.response_url {
        let _ = destination::check(&url.expose(), stack.partition, &[]);
    }
    let partition = stack.partition.unwrap_or("aws");
    for properties in [&envelope.properties, envelope.old_properties(), &event] {
        if let Err(error) = Spec::parse(properties, stack.region.unwrap_or("us-east-1"), partition) {
            assert!(!error.to_string().is_empty() && !error.fix().is_empty());
        }
        let _ = (Remnant::read(properties), keys_leniently(properties));
    }
}

/// Compares two policy documents, separated by the first line break.
pub fn documents(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    assert_eq!(same(one, other), same(other, one), "the comparison depends on the order of its arguments");
}

/// Reads the state tags of a user from lines of the form `key=value`.
pub fn tags(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let tags: Vec<Tag> = text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| Tag::new(k, v)).collect();
    if let Some(lease) = Lease::read(&tags) {
        assert_eq!(Lease::read(&[lease.tag()]), Some(lease));
    }
    for tag in &tags {
        if let Some(digests) = Digests::read(&tag.value) {
            assert_eq!(Digests::read(&digests.tag_value()), Some(digests));
        }
        let _ = Account::of_arn(&tag.value);
    }
    let _ = OwnershipTags::of(&Envelope::read(&Value::Null)).owner(&tags);
    let _ = is_own_registration(&tags, &Shown::new(Value::Null));
}

/// Parses an HTTP response and a WebSocket message from Coiled.
pub fn coiled(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(http::words(&text).len() <= 16 << 10);
    let _ = socket::read(&text);
    let shown = Shown::new(serde_json::from_slice(bytes).unwrap_or_default());
    let _ = (shown.is_connected(), shown.is_aws_in("us-east-1"), shown.describe());
    assert_eq!(shown.digest(), shown.clone().digest());
}

/// Finds a token in the content of a secret, as text and as bytes. Redacts a secret in a text. The first line is the
/// secret, and the rest is the text around it.
pub fn secrets(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for token in [secrets::text(&SecretString::from(&*text)), secrets::binary(bytes)].into_iter().flatten() {
        assert!(token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()), "a token fits into a header");
    }
    let (secret, around) = text.split_once('\n').unwrap_or((&text, ""));
    // Secrets of fewer than 4 characters occur in ordinary text by chance. A secret with `*` can match its own
    // replacement.
    if secret.len() < 4 || secret.contains('*') {
        return;
    }
    let hidden = SecretString::from(secret);
    for text in [format!("{around}{secret}{around}"), serde_json::json!({ "said": [around, secret] }).to_string()] {
        let scrubbed = scrub(&text, &[&hidden]);
        assert!(!scrubbed.contains(secret) || around.contains(secret), "the secret is still in the text");
    }
    assert!(shorten(around, 100).len() <= 100.max("…".len()));
    let _ = ResponseUrl::parse(around).map(|url| url.to_string());
}
