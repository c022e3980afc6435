//! The HTTP client for Coiled and for the response, which goes to S3. The AWS clients do not use it.

use crate::certificate;

/// The name and version sent to Coiled as `User-Agent` and `Client-Version`.
pub(crate) const AGENT: &str = concat!("coiled-aws-stack/", env!("CARGO_PKG_VERSION"));

/// Creates the HTTP client. The process creates only one, to reuse connections.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(AGENT)
        .connect_timeout(std::time::Duration::from_secs(5))
        // Following a redirect would send the token to a server that is not configured.
        .redirect(reqwest::redirect::Policy::none())
        // The WebSocket client does not support proxies, so HTTP requests do not use them either.
        .no_proxy()
        .build()
}

/// Why a request failed, without its URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no response in time".to_owned() } else { certificate::cause(error) }
}
