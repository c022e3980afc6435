//! The message that registers a key with Coiled.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::aws::iam::keys::NewKey;
use crate::properties::Spec;
use crate::properties::registry::Registry;

/// The message, ready to be sent. It contains the secret key, so its text is a [`SecretString`].
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The message as JSON.
    pub text: SecretString,
    /// The secrets to mask in everything that Coiled sends back.
    pub secrets: Vec<SecretString>,
}

impl Message {
    /// Builds the registration of a key. This one message contains region, network, registry, review and submit.
    ///
    /// `ids` are the IDs of the session and the request. With them, Coiled's support can find the message in its logs.
    pub(crate) fn new(spec: &Spec, key: &NewKey, hub_token: Option<&SecretString>, ids: (&str, &str)) -> Self {
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

/// The field `data`. With ECR, Coiled's format contains the key pair twice, under different names.
pub(crate) fn data(spec: &Spec, id: &str, secret: &str) -> Value {
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
