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

impl DockerHub {
    /// Whether this text names the same address. Empty text means Docker Hub itself.
    pub(crate) fn has_uri(&self, text: &str) -> bool {
        let text = if text.trim().is_empty() { DEFAULT_URI } else { text };
        uri_of(text).as_ref() == Ok(&self.uri)
    }

    /// Whether this text names the same login.
    pub(crate) fn has_username(&self, text: &str) -> bool {
        username_of(text).as_ref() == Ok(&self.username)
    }
}

/// Docker Hub itself.
const DEFAULT_URI: &str = "docker.io";

/// The longest login, namespace or address.
const LONGEST: usize = 255;

const DOCKER_HUB: [&str; 4] = ["DockerHubUsername", "DockerHubNamespace", "DockerHubUri", "DockerHubTokenSecretArn"];

/// Reads `Registry` and, for `docker_hub`, the four Docker Hub properties.
pub(crate) fn registry(reader: &mut Reader, partition: &str) -> Option<Registry> {
    match reader.text("Registry").as_deref() {
        None | Some("ecr") => {
            for name in DOCKER_HUB {
                reader.ignore(name);
                if reader.given(name) {
                    reader.reject(name, "is allowed only if Registry is docker_hub");
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
    let username = username.and_then(|text| reader.parse("DockerHubUsername", &text, username_of));
    let namespace = reader.parsed("DockerHubNamespace", namespace_of);
    let uri = reader.text("DockerHubUri").unwrap_or_else(|| DEFAULT_URI.into());
    let uri = reader.parse("DockerHubUri", &uri, uri_of);
    let token_secret = reader.required("DockerHubTokenSecretArn");
    let token_secret = token_secret
        .and_then(|text| reader.parse("DockerHubTokenSecretArn", &text, |text| secret_arn(text, partition)));
    let username = username?;
    if !reader.given("DockerHubNamespace") && namespace_of(&username).is_err() {
        reader.reject("DockerHubNamespace", format!("is required, because {username} is not valid in an image name"));
    }
    Some(DockerHub {
        namespace: namespace.unwrap_or_else(|| username.clone()),
        username,
        uri: uri?,
        token_secret: token_secret?,
    })
}

/// A user name that any registry may use: RFC 7617 forbids only the colon. Quay, GitLab and Harbor use `+` and `$`, and
/// others use an e-mail address.
///
/// Coiled's own client rejects capital letters.
fn username_of(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.len() > LONGEST || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        return Err(format!("must have at most {LONGEST} ASCII characters, without spaces or colons"));
    }
    Ok(name.to_lowercase())
}

/// The path in an image's name, as defined by the grammar of distribution's `reference` package. Image names do not
/// contain capital letters.
fn namespace_of(text: &str) -> Result<String, String> {
    let namespace = text.trim().to_lowercase();
    if namespace.len() > LONGEST || !namespace.split('/').all(is_path_component) {
        return Err(format!(
            "must be one or more names separated by /, at most {LONGEST} characters in total. Each name consists of letters \
             and digits, with . _ __ or - between them"
        ));
    }
    Ok(namespace)
}

fn is_path_component(name: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_alphanumeric();
    let ends_are_valid = name.starts_with(is_alphanumeric) && name.ends_with(is_alphanumeric);
    let mut separators = name.split(is_alphanumeric).filter(|separator| !separator.is_empty());
    ends_are_valid
        && separators
            .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

/// The registry's address: a host, optionally with a scheme, a port and a path, but without a user or password.
fn uri_of(text: &str) -> Result<String, String> {
    let uri = text.trim();
    let rest = ["https://", "http://"].iter().find_map(|scheme| uri.strip_prefix(scheme)).unwrap_or(uri);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._~%+/-".contains(&byte);
    if uri.len() > LONGEST || !is_authority(authority) || !path.bytes().all(is_in_path) {
        return Err("must be a registry's host such as docker.io, optionally with a port and a path".into());
    }
    Ok(uri.to_owned())
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_valid =
        port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()));
    port_is_valid && (is_host(host) || is_ipv6(host))
}

fn is_host(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_alphanumeric();
    let is_allowed = |c: char| is_alphanumeric(c) || matches!(c, '.' | '-');
    text.starts_with(is_alphanumeric) && text.ends_with(is_alphanumeric) && text.chars().all(is_allowed)
}

fn is_ipv6(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}
