//! The user's own tags, for all that is made.

use serde_json::Value;

use super::reader::Reader;

/// IAM allows 50 tags; what remains is for our marks.
const LIMIT: usize = 38;

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// Its key; IAM ignores case in it.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
}

impl Tag {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// Reads `Tags`.
pub fn tags(reader: &mut Reader) -> Vec<Tag> {
    let items = reader.list("Tags");
    if items.len() > LIMIT {
        reader.fault("Tags", format!("takes at most {LIMIT} tags"));
    }
    let mut tags: Vec<Tag> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let Some(tag) = tag(reader, n, item) else { continue };
        if tags.iter().any(|other| other.key.eq_ignore_ascii_case(&tag.key)) {
            reader.fault(&format!("Tags[{n}].Key"), format!("\"{}\" is there twice (IAM ignores case)", tag.key));
        } else {
            tags.push(tag);
        }
    }
    tags
}

/// The keys alone, of properties that may be in any form.
pub fn keys_leniently(properties: &Value) -> Vec<String> {
    let Some(map) = properties.as_object() else { return Vec::new() };
    let items = Reader::new(map, "").list("Tags");
    items
        .iter()
        .filter_map(|item| item.get("Key")?.as_str().map(str::to_owned))
        .filter(|key| !is_reserved(key))
        .collect()
}

fn tag(outer: &mut Reader, n: usize, item: &Value) -> Option<Tag> {
    let Value::Object(map) = item else {
        outer.fault(&format!("Tags[{n}]"), "takes {\"Key\": \"..\", \"Value\": \"..\"}");
        return None;
    };
    let mut reader = Reader::new(map, format!("Tags[{n}]."));
    let key = reader.required("Key");
    let key = key.and_then(|text| reader.parse("Key", &text, key_of));
    let value = reader.text("Value").unwrap_or_default();
    let value = reader.parse("Value", &value, value_of);
    let faults = reader.finish();
    let sound = faults.is_empty();
    outer.absorb(faults);
    Some(Tag { key: key?, value: value? }).filter(|_| sound)
}

fn key_of(text: &str) -> Result<String, String> {
    if is_reserved(text) {
        return Err("is reserved: aws:* is AWS's, coiled-stack:* is this stack's".into());
    }
    if text.chars().count() > 128 || !is_tag_text(text) {
        return Err("has to be at most 128 letters, digits, spaces and _.:/=+-@".into());
    }
    Ok(text.to_owned())
}

fn value_of(text: &str) -> Result<String, String> {
    if text.chars().count() > 256 || !is_tag_text(text) {
        return Err("has to be at most 256 letters, digits, spaces and _.:/=+-@".into());
    }
    Ok(text.to_owned())
}

fn is_reserved(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("aws:") || key.starts_with("coiled-stack:")
}

fn is_tag_text(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
}
