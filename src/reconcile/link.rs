//! The link to Coiled.

use secrecy::SecretString;

use crate::coiled::Coiled;
use crate::coiled::connection::Shown;

/// What a run needs to register a key with Coiled.
#[derive(Debug)]
pub(crate) struct Link {
    /// The client, which holds the API token.
    pub coiled: Coiled,
    /// The workspace's slug.
    pub workspace: String,
    /// The workspace's connection before this run changed it.
    pub before: Shown,
    /// The Docker Hub token; `None` if the registry is ECR.
    pub hub_token: Option<SecretString>,
}
