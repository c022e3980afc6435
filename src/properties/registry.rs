//! The properties for the registry in which Coiled stores container images.

use super::reader::Reader;
use super::secret_arn;

/// The registry for the images that Coiled builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// ECR in this account. Coiled uses the registered access key for it.
    Ecr,
    /// Docker Hub, with its own access token.
    DockerHub(DockerHub),
}

/// The login that Coiled uses to push to Docker Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerHub {
    /// In lower case, because Coiled's own client rejects other names.
    pub username: String,
    /// The user or organization that owns the images.
    pub namespace: String,
    /// The registry's host, `docker.io` by default.
    pub uri: String,
    /// The ARN of the secret with the access token.
    pub token_secret: String,
}

const DOCKER_HUB: [&str; 4] = ["DockerHubUsername", "DockerHubNamespace", "DockerHubUri", "DockerHubTokenSecretArn"];

/// Reads `Registry` and, for `docker_hub`, the four Docker Hub properties.
pub fn registry(reader: &mut Reader, partition: &str) -> Option<Registry> {
    match reader.text("Registry").as_deref() {
        None | Some("ecr") => {
            for name in DOCKER_HUB {
                reader.ignore(name);
                if reader.given(name) {
                    reader.reject(name, "requires Registry docker_hub");
                }
            }
            Some(Registry::Ecr)
        }
        Some("docker_hub") => docker_hub(reader, partition).map(Registry::DockerHub),
        Some(_) => {
            DOCKER_HUB.into_iter().for_each(|name| reader.ignore(name));
            reader.reject("Registry", "must be ecr or docker_hub");
            None
        }
    }
}

fn docker_hub(reader: &mut Reader, partition: &str) -> Option<DockerHub> {
    let username = reader.required("DockerHubUsername");
    let namespace = reader.text("DockerHubNamespace");
    let uri = reader.text("DockerHubUri").unwrap_or_else(|| "docker.io".into());
    let token_secret = reader.required("DockerHubTokenSecretArn");
    let token_secret = token_secret
        .and_then(|text| reader.parse("DockerHubTokenSecretArn", &text, |text| secret_arn(text, partition)));
    let username = username?.trim().to_lowercase();
    Some(DockerHub {
        namespace: namespace.unwrap_or_else(|| username.clone()),
        username,
        uri,
        token_secret: token_secret?,
    })
}
