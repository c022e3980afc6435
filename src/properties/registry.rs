//! Where Coiled keeps the container images that it builds.

use super::reader::Reader;
use super::secret_arn;

/// The container registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// ECR in the account, with the same key pair.
    Ecr,
    /// Docker Hub, with a token of its own.
    DockerHub(DockerHub),
}

/// What Coiled needs to push to Docker Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerHub {
    /// The login; Docker Hub's are lower case.
    pub username: String,
    /// Whose images: the user's or an organisation's.
    pub namespace: String,
    /// The registry's host.
    pub uri: String,
    /// The secret with the access token.
    pub token_secret: String,
}

const DOCKER_HUB: [&str; 4] = ["DockerHubUsername", "DockerHubNamespace", "DockerHubUri", "DockerHubTokenSecretArn"];

/// Reads the registry.
pub fn registry(reader: &mut Reader, partition: &str) -> Option<Registry> {
    match reader.text("Registry").as_deref() {
        None | Some("ecr") => {
            for name in DOCKER_HUB {
                reader.ignore(name);
                if reader.given(name) {
                    reader.fault(name, "needs Registry docker_hub");
                }
            }
            Some(Registry::Ecr)
        }
        Some("docker_hub") => docker_hub(reader, partition).map(Registry::DockerHub),
        Some(_) => {
            DOCKER_HUB.into_iter().for_each(|name| reader.ignore(name));
            reader.fault("Registry", "takes ecr or docker_hub");
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
    // Docker Hub's names are lower case, and Coiled's own client refuses others.
    let username = username?.trim().to_lowercase();
    Some(DockerHub {
        namespace: namespace.unwrap_or_else(|| username.clone()),
        username,
        uri,
        token_secret: token_secret?,
    })
}
