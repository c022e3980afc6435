//! The message that registers a key with Coiled, and the digests by which it is recognised later.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::connection::Shown;
use crate::iam::keys::NewKey;
use crate::iam::tags::{ACCESS_KEY_ID, PENDING, PENDING_REGION, REGISTERED, get};
use crate::properties::Spec;
use crate::properties::registry::Registry;
use crate::properties::tags::Tag;
use crate::redact::hex;

/// The message, ready to be sent. It holds the secret key, and so can't be printed.
#[derive(Debug, Clone)]
pub struct Message {
    /// One JSON text.
    pub text: SecretString,
    /// What must not come back in anybody's words.
    pub secrets: Vec<SecretString>,
}

impl Message {
    /// Registers a key: region, network, registry, review and submit are one message.
    ///
    /// `ids` are random strings of the session and the request, by which Coiled's support finds it in their logs.
    pub fn new(spec: &Spec, key: &NewKey, hub_token: Option<&SecretString>, ids: (&str, &str)) -> Self {
        let mut data = data(spec, &key.id, key.secret.expose_secret());
        if let (Registry::DockerHub(_), Some(token)) = (&spec.registry, hub_token)
            && let Some(password) = data.pointer_mut("/registry/password")
        {
            *password = Value::from(token.expose_secret());
        }
        let message = json!({
            "type": "update_options",
            "logging_context": {},
            "data": data,
            "coiled-session-id": ids.0,
            "coiled-request-id": ids.1,
        });
        let secrets = std::iter::once(&key.secret).chain(hub_token).cloned().collect();
        Self { text: SecretString::from(message.to_string()), secrets }
    }
}

/// The part that says what to register. The key pair is in it twice, in two spellings; so Coiled has it.
fn data(spec: &Spec, id: &str, secret: &str) -> Value {
    let firewall_spec = if spec.ingress.is_empty() { json!({}) } else { json!({"ingress": spec.ingress}) };
    let network = spec.network.as_ref().map_or_else(|| json!({}), |network| json!(network));
    json!({
        "backend": "vm",
        "options": {
            "aws_region_name": spec.region,
            "account_role": "",
            "credentials": {"aws_access_key": id, "aws_secret_key": secret},
            "firewall": {},
            "firewall_spec": firewall_spec,
            "network": network,
            "zone": null,
            "provider_name": "aws",
            "type": "aws_cloudbridge_backend_options",
        },
        "registry": registry(spec, id, secret),
    })
}

fn registry(spec: &Spec, id: &str, secret: &str) -> Value {
    match &spec.registry {
        Registry::Ecr => json!({
            "type": "ecr",
            "public_ecr": false,
            "region": spec.region,
            "credentials": {"aws_access_key_id": id, "aws_secret_access_key": secret},
        }),
        Registry::DockerHub(hub) => json!({
            "type": "docker_hub",
            "account": hub.namespace,
            "username": hub.username,
            "password": "",
            "uri": hub.uri,
        }),
    }
}

/// What the tag `coiled-stack:registered` holds: a digest of what was registered, and of what Coiled showed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Of the properties that go into the message, and of `RotateKey`; never of a secret.
    pub wanted: String,
    /// Of [`Shown`], when it was read back.
    pub shown: String,
}

impl Digests {
    /// The digest of what a spec registers. A change in it is the one thing that brings a new key.
    pub fn wanted(spec: &Spec) -> String {
        let hub_secret = match &spec.registry {
            Registry::DockerHub(hub) => Some(&hub.token_secret),
            Registry::Ecr => None,
        };
        let registered = data(spec, "", "");
        hex(&Sha256::digest(json!([registered, hub_secret, spec.rotate_key]).to_string()))
    }

    /// The digests of a registration that was read back.
    pub fn new(spec: &Spec, shown: &Shown) -> Self {
        Self { wanted: Self::wanted(spec), shown: shown.digest() }
    }

    /// Of a registration that is known by nothing but what Coiled shows: no target is the same.
    pub fn of_unknown(shown: &Shown) -> Self {
        Self { wanted: "unknown".into(), shown: shown.digest() }
    }

    /// The tag's value: 132 of IAM's 256 characters, all of its set.
    pub fn tag_value(&self) -> String {
        format!("v1:{}:{}", self.wanted, self.shown)
    }

    /// Reads the tag's value; `None` for one of another form.
    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("v1"), Some(wanted), Some(shown), None) => {
                Some(Self { wanted: wanted.to_owned(), shown: shown.to_owned() })
            }
            _ => None,
        }
    }
}

/// Whether what Coiled shows is what the user with these tags was registered with: the same as when it was read back, or
/// as far as can be known a registration whose outcome is not. Coiled names no key, so there is nothing better to ask.
pub fn is_ours(tags: &[Tag], shown: &Shown) -> bool {
    is_recorded(tags, shown) || is_pending(tags, shown)
}

/// Which of our keys Coiled holds, where what it shows fits one registration and not the other.
pub fn held_key<'a>(tags: &'a [Tag], shown: &Shown) -> Option<&'a str> {
    match (is_recorded(tags, shown), is_pending(tags, shown)) {
        (true, false) => get(tags, ACCESS_KEY_ID),
        (false, true) => get(tags, PENDING),
        _ => None,
    }
}

fn is_recorded(tags: &[Tag], shown: &Shown) -> bool {
    let recorded = get(tags, REGISTERED).and_then(Digests::read);
    recorded.is_some_and(|digests| digests.shown == shown.digest())
}

fn is_pending(tags: &[Tag], shown: &Shown) -> bool {
    let pending = get(tags, PENDING).and(get(tags, PENDING_REGION));
    pending.is_some_and(|region| shown.is_aws_in(region))
}
