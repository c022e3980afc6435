//! The stack tags: the property `Tags`, which applies to the IAM user and the policies.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use serde_json::Value;

use super::reader::{Reader, in_any_case};
use crate::tag::{PREFIX, Tag};

/// IAM allows 50 tags per resource. The rest is reserved for ownership and state tags.
const LIMIT: usize = 38;

/// Reads and validates `Tags`.
pub(crate) fn tags(reader: &mut Reader) -> Vec<Tag> {
    let items = reader.list("Tags");
    if items.len() > LIMIT {
        reader.reject("Tags", format!("must contain at most {LIMIT} tags"));
    }
    let mut tags: Vec<Tag> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let Some(tag) = tag(reader, n, item) else { continue };
        if tags.iter().any(|other| other.key.eq_ignore_ascii_case(&tag.key)) {
            reader.reject(&format!("Tags[{n}].Key"), format!("\"{}\" occurs twice (IAM ignores case)", tag.key));
        } else {
            tags.push(tag);
        }
    }
    tags
}

/// The tag keys in properties that have not been validated. Reserved keys are left out.
pub fn keys_leniently(properties: &Value) -> Vec<String> {
    let Some(map) = properties.as_object() else { return Vec::new() };
    let items = Reader::new(map, "").list("Tags");
    items
        .iter()
        .filter_map(|item| in_any_case(item.as_object()?, &["Key"]).ok()?.get("Key")?.as_str().map(str::to_owned))
        .filter(|key| !is_reserved(key))
        .collect()
}

fn tag(outer: &mut Reader, n: usize, item: &Value) -> Option<Tag> {
    let Value::Object(map) = item else {
        outer.reject(&format!("Tags[{n}]"), "must have the form {\"Key\": \"..\", \"Value\": \"..\"}");
        return None;
    };
    let map = match in_any_case(map, &["Key", "Value"]) {
        Ok(map) => map,
        Err(problem) => {
            outer.reject(&format!("Tags[{n}]"), problem);
            return None;
        }
    };
    let mut reader = Reader::new(&map, format!("Tags[{n}]."));
    let key = reader.required("Key");
    let key = key.and_then(|text| reader.parse("Key", &text, key_of));
    let value = reader.text("Value").unwrap_or_default();
    let value = reader.parse("Value", &value, value_of);
    let invalid = reader.finish();
    let is_valid = invalid.is_empty();
    outer.absorb(invalid);
    Some(Tag { key: key?, value: value? }).filter(|_| is_valid)
}

fn key_of(text: &str) -> Result<String, String> {
    if is_reserved(text) {
        return Err("is reserved (aws:* for AWS, coiled-stack:* for this stack)".into());
    }
    if text.chars().count() > 128 || !is_tag_text(text) {
        return Err("must consist of at most 128 letters, numbers, spaces and _.:/=+-@".into());
    }
    Ok(text.to_owned())
}

fn value_of(text: &str) -> Result<String, String> {
    if text.chars().count() > 256 || !is_tag_text(text) {
        return Err("must consist of at most 256 letters, numbers, spaces and _.:/=+-@".into());
    }
    Ok(text.to_owned())
}

fn is_reserved(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("aws:") || key.starts_with(PREFIX)
}

/// IAM's own rule for keys and values: `[\p{L}\p{Z}\p{N}_.:/=+\-@]`.
///
/// Rust's `char::is_alphabetic` also accepts marks and symbols, which IAM rejects.
pub(crate) fn is_tag_text(text: &str) -> bool {
    let categories =
        GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Separator).union(GeneralCategoryGroup::Number);
    let map = CodePointMapData::<GeneralCategory>::new();
    text.chars().all(|c| categories.contains(map.get(c)) || "_.:/=+-@".contains(c))
}
