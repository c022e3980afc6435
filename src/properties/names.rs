//! Types for validated names: server, user name, path and region.

use std::fmt;

use url::Url;

/// The URL of a Coiled server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(Url);

impl Server {
    /// Coiled's public server. Self-hosted Coiled has another URL.
    pub(crate) const DEFAULT: &'static str = "https://cloud.coiled.io";

    /// Parses a server's URL as Coiled's own client does: a missing scheme means `http://`, and trailing slashes are
    /// dropped. Because the token is sent there, plain HTTP is allowed for loopback hosts only.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('/');
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&full).map_err(|error| format!("is not a URL ({error})"))?;
        if !url.has_host() || !url.username().is_empty() || url.password().is_some() {
            return Err("must be https://HOST without a user name or password".into());
        }
        // The server is stored in a tag of the IAM user.
        if !url.as_str().chars().all(|c| c.is_ascii_alphanumeric() || "_.:/=+-@".contains(c))
            || url.as_str().len() > 256
        {
            return Err("must consist of at most 256 letters, digits and _.:/=+-@ (it is stored in an IAM tag)".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not contain ? or #".into());
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err("must begin with https:// (plain http is allowed for loopback hosts only)".into()),
            other => Err(format!("has the scheme {other}, but must begin with https://")),
        }
    }

    /// A URL on this server. Each element of `path` is escaped.
    pub(crate) fn at(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        // This fails only for URLs that cannot be a base. Those have no host, and `parse` rejects them.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Like [`Server::at`], with the scheme `wss` or `ws`.
    pub(crate) fn websocket_at(&self, path: &[&str]) -> String {
        // `https` becomes `wss`, `http` becomes `ws`.
        self.at(path).as_str().replacen("http", "ws", 1)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An IAM user's name. The two policies are named after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// IAM allows 64 characters. Eight are reserved for `-ongoing`, so that policy names stay within the same limit.
    pub(crate) const LIMIT: usize = 56;

    /// Accepts 1 to [`UserName::LIMIT`] of the characters that IAM allows.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > Self::LIMIT {
            return Err(format!("has {} characters, but must have 1 to {}", text.chars().count(), Self::LIMIT));
        }
        if !text.chars().all(is_name_char) {
            return Err("contains a character other than A-Z a-z 0-9 _ + = , . @ -".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as IAM shows it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether IAM allows a character in the names of users and policies, and in the paths of policies.
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// An IAM path, for the user and its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPath(String);

impl UserPath {
    /// The longest path for a new stack. The function's role contains the path nine times, and IAM limits the role's
    /// policies to 10,240 characters.
    pub(crate) const LIMIT: usize = 256;

    /// IAM's rule for the paths of policies, which is stricter than the one for users. It excludes `*`, `?` and `$`: in
    /// the policies of the function's role, they would make an ARN match other resources.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let Some(inner) = inner.filter(|_| text.ends_with('/') && text.len() <= 512) else {
            return Err("must begin and end with /, and have at most 512 characters".into());
        };
        if text != "/" && !inner.split('/').all(|part| !part.is_empty() && part.chars().all(is_name_char)) {
            return Err("contains //, or a character other than A-Z a-z 0-9 _ + = , . @ - /".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The path, with `/` at both ends.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The partition of a region, from the prefix of its code.
///
/// Source: the partitions in the AWS SDKs' endpoint rules.
pub(crate) fn partition_of(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ];
    PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Whether a text looks like a region code: `us-east-2`, `us-gov-west-1`, `eusc-de-east-1`.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let word = |part: &&str| (2..=10).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase());
    (2..=4).contains(&words.len())
        && words.iter().all(word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_parsed_as_in_coileds_client() {
        for (text, server) in [
            ("https://cloud.coiled.io/", "https://cloud.coiled.io"),
            ("https://coiled.example.com/base//", "https://coiled.example.com/base"),
            ("localhost:8000", "http://localhost:8000"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ] {
            assert_eq!(Server::parse(text).map(|server| server.to_string()), Ok(server.to_owned()), "{text}");
        }
    }

    #[test]
    fn plain_http_and_malformed_servers_are_rejected() {
        for text in ["cloud.coiled.io", "http://cloud.coiled.io", "http://127.0.0.1.example.com", "ftp://localhost"] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
        for text in ["", "https://", "https://user:password@host", "https://host/?a", "not a host", "http://[::1]:9"] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_on_a_server_are_escaped() -> Result<(), String> {
        let server = Server::parse("https://host/base/")?;
        assert_eq!(server.at(&["api", "a/b?c", ""]).as_str(), "https://host/base/api/a%2Fb%3Fc/");
        assert_eq!(server.websocket_at(&["ws"]), "wss://host/base/ws");
        Ok(())
    }

    #[test]
    fn user_names_have_1_to_56_allowed_characters() {
        assert!(UserName::parse(&"a".repeat(56)).is_ok());
        assert!(UserName::parse(&"a".repeat(57)).is_err());
        for text in ["", "a b", "a/b", "a*", "ö"] {
            assert!(UserName::parse(text).is_err(), "{text}");
        }
        assert!(UserName::parse("a_b+c=d,e.f@g-h").is_ok());
    }

    #[test]
    fn paths_with_wildcards_are_rejected() {
        for text in ["/", "/a/", "/a/b-c/"] {
            assert!(UserPath::parse(text).is_ok(), "{text}");
        }
        for text in ["", "a", "/a", "//", "/*/", "/?/", "/${aws:username}/", "/a b/"] {
            assert!(UserPath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn region_codes_are_recognized_and_mapped_to_their_partition() {
        for (region, partition) in [
            ("us-east-2", "aws"),
            ("ap-southeast-4", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert!(is_region(region), "{region}");
            assert_eq!(partition_of(region), partition);
        }
        for text in ["", "us-east", "us-east-2a", "US-EAST-1", "useast1", "us east 1", "-1", "us-east-2/"] {
            assert!(!is_region(text), "{text}");
        }
    }
}
