//! The format of a registration: every required field must be present, and unknown fields are not allowed.

use ipnet::IpNet;
use serde_json::{Map, Value};

/// The values that are allowed in one place of the message.
enum Shape {
    /// Exactly this text.
    Is(&'static str),
    /// Exactly `false`.
    False,
    /// Text that is not blank.
    Text,
    /// Text that is not blank and has no capital letters.
    LowerCase,
    /// `null`, or text that is not blank.
    TextOrNull,
    /// The name of an AWS region.
    Region,
    /// A number from 1 to 65535. A string is not allowed.
    Port,
    /// A CIDR block such as `10.0.0.0/16`.
    Cidr,
    /// A list with at least one item.
    ListOf(&'static Shape),
    /// Any object.
    AnyObject,
    /// An object with these fields and no others.
    Object(&'static [Field]),
    /// `{}`, or an object with these fields and no others.
    EmptyOr(&'static [Field]),
    /// A registry: its field `type` determines the other fields.
    Registry,
}

/// One field of an object.
struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const MESSAGE: &[Field] = &[
    required("type", Shape::Is("update_options")),
    required("logging_context", Shape::AnyObject),
    required("data", Shape::Object(DATA)),
    optional("coiled-session-id", Shape::Text),
    optional("coiled-request-id", Shape::Text),
    optional("coiled-operation-id", Shape::Text),
    optional("coiled-operation-func", Shape::Text),
];

const DATA: &[Field] = &[
    required("backend", Shape::Is("vm")),
    required("options", Shape::Object(OPTIONS)),
    required("registry", Shape::Registry),
];

const OPTIONS: &[Field] = &[
    required("aws_region_name", Shape::Region),
    required("account_role", Shape::Is("")),
    required("credentials", Shape::Object(KEY)),
    required("firewall", Shape::EmptyOr(&[])),
    required("firewall_spec", Shape::EmptyOr(FIREWALL)),
    required("network", Shape::EmptyOr(NETWORK)),
    required("zone", Shape::TextOrNull),
    required("provider_name", Shape::Is("aws")),
    required("type", Shape::Is("aws_cloudbridge_backend_options")),
];

const KEY: &[Field] = &[required("aws_access_key", Shape::Text), required("aws_secret_key", Shape::Text)];

const FIREWALL: &[Field] = &[required("ingress", Shape::ListOf(&Shape::Object(RULE)))];

const RULE: &[Field] = &[required("ports", Shape::ListOf(&Shape::Port)), required("cidr", Shape::Cidr)];

const NETWORK: &[Field] = &[
    required("network_id", Shape::Text),
    optional("scheduler_subnet_id", Shape::Text),
    optional("worker_subnet_id", Shape::Text),
    optional("firewall_id", Shape::Text),
];

const ECR: &[Field] = &[
    required("type", Shape::Is("ecr")),
    required("public_ecr", Shape::False),
    required("region", Shape::Region),
    required("credentials", Shape::Object(ECR_KEY)),
];

const ECR_KEY: &[Field] = &[required("aws_access_key_id", Shape::Text), required("aws_secret_access_key", Shape::Text)];

const DOCKER_HUB: &[Field] = &[
    required("type", Shape::Is("docker_hub")),
    required("account", Shape::Text),
    required("username", Shape::LowerCase),
    required("password", Shape::Text),
    required("uri", Shape::Text),
];

/// Everything that is wrong with a registration. Empty if it is valid.
pub(super) fn violations(message: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    Shape::Object(MESSAGE).check("message", message, &mut violations);
    if violations.is_empty() {
        compare("/data/options/aws_region_name", "/data/registry/region", message, &mut violations);
        compare(
            "/data/options/credentials/aws_access_key",
            "/data/registry/credentials/aws_access_key_id",
            message,
            &mut violations,
        );
        compare(
            "/data/options/credentials/aws_secret_key",
            "/data/registry/credentials/aws_secret_access_key",
            message,
            &mut violations,
        );
    }
    violations
}

/// Two fields with the same meaning must have the same value. The second exists only with ECR.
fn compare(here: &str, there: &str, message: &Value, violations: &mut Vec<String>) {
    if message.pointer(there).is_some_and(|second| message.pointer(here) != Some(second)) {
        violations.push(format!("{here} and {there} differ"));
    }
}

impl Shape {
    /// Adds what is wrong with `value`, but never the value itself, which may be a secret.
    fn check(&self, path: &str, value: &Value, violations: &mut Vec<String>) {
        match self {
            Self::ListOf(item) => check_list(path, value, item, violations),
            Self::Object(fields) => check_object(path, value, fields, violations),
            Self::EmptyOr(_) if value.as_object().is_some_and(Map::is_empty) => {}
            Self::EmptyOr(fields) => check_object(path, value, fields, violations),
            Self::Registry => check_object(path, value, registry(value), violations),
            plain if plain.fits(value) => {}
            plain => violations.push(format!("{path} must be {}", plain.expected())),
        }
    }

    /// Whether the value is allowed. Only for shapes without parts.
    fn fits(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Is(wanted) => text == Some(wanted),
            Self::False => value == &Value::Bool(false),
            Self::Text => text.is_some_and(|text| !text.trim().is_empty()),
            Self::LowerCase => Self::Text.fits(value) && !text.is_some_and(has_capitals),
            Self::TextOrNull => value.is_null() || Self::Text.fits(value),
            Self::Region => text.is_some_and(is_region),
            Self::Port => value.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
            Self::Cidr => text.is_some_and(|text| text.parse::<IpNet>().is_ok()),
            Self::AnyObject => value.is_object(),
            Self::ListOf(_) | Self::Object(_) | Self::EmptyOr(_) | Self::Registry => false,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Is(wanted) => format!("{wanted:?}"),
            Self::False => "false".into(),
            Self::LowerCase => "text without capital letters".into(),
            Self::TextOrNull => "null or text that is not blank".into(),
            Self::Region => "the name of an AWS region".into(),
            Self::Port => "a port number".into(),
            Self::Cidr => "a CIDR".into(),
            Self::ListOf(_) => "a list that is not empty".into(),
            Self::Text => "text that is not blank".into(),
            Self::AnyObject | Self::Object(_) | Self::EmptyOr(_) | Self::Registry => "an object".into(),
        }
    }
}

fn check_list(path: &str, value: &Value, item: &Shape, violations: &mut Vec<String>) {
    match value.as_array() {
        Some(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                item.check(&format!("{path}[{index}]"), value, violations);
            }
        }
        _ => violations.push(format!("{path} must be {}", Shape::ListOf(&Shape::AnyObject).expected())),
    }
}

fn check_object(path: &str, value: &Value, fields: &[Field], violations: &mut Vec<String>) {
    let Some(object) = value.as_object() else {
        violations.push(format!("{path} must be an object"));
        return;
    };
    for field in fields {
        match object.get(field.name) {
            Some(value) => field.shape.check(&format!("{path}.{}", field.name), value, violations),
            None if field.required => violations.push(format!("{path}.{} is missing", field.name)),
            None => {}
        }
    }
    for name in object.keys().filter(|name| fields.iter().all(|field| field.name != *name)) {
        violations.push(format!("{path}.{name} is unknown"));
    }
}

/// An unknown type is checked against ECR's format, which reports the wrong type.
fn registry(value: &Value) -> &'static [Field] {
    match value.get("type").and_then(Value::as_str) {
        Some("docker_hub") => DOCKER_HUB,
        _ => ECR,
    }
}

fn has_capitals(text: &str) -> bool {
    text.chars().any(char::is_uppercase)
}

/// At least two words in lower case, then a number, as in `us-east-2` and `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    words.len() >= 2
        && words.iter().all(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase()))
        && number.parse::<u8>().is_ok()
}
