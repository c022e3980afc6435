//! Explains why a TLS connection failed: what is wrong with the server's certificate, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{CertificateError, Error as TlsError};

use crate::redact::shown;

/// Why a server cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The function does not trust the authority that signed the certificate, or the certificate is self-signed.
    UnknownAuthority,
    /// The certificate has expired. The text says when.
    Expired(String),
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for other names.
    WrongName(String),
    /// The certificate is invalid in another way. The text comes from the TLS library.
    Invalid(String),
    /// The server responded, but not with TLS.
    NotTls,
}

impl Problem {
    /// Finds the problem in a failed connection. `None` if it failed for another reason.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        match tls_error(error)? {
            TlsError::InvalidCertificate(problem) => Some(Self::of_certificate(problem)),
            // For example `https://` with a port that serves plain HTTP.
            TlsError::InvalidMessage(_) => Some(Self::NotTls),
            _ => None,
        }
    }

    fn of_certificate(problem: &CertificateError) -> Self {
        match problem {
            // The signature is bad if an authority with the same name but another key signed the certificate.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::Expired => Self::Expired(String::new()),
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired(ago(time.as_secs().saturating_sub(not_after.as_secs())))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName => Self::WrongName("other names".into()),
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName(names(presented)),
            other => Self::Invalid(other.to_string()),
        }
    }

    /// What to do about it.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::UnknownAuthority => {
                "If the server is yours, add its authority's certificate to a file with the public authorities' \
                 certificates, and set SSL_CERT_FILE in the function's environment to that file. Otherwise find out \
                 what is intercepting the connection. Then try again."
            }
            Self::Expired(_) | Self::NotYetValid => "Renew the server's certificate. Then try again.",
            Self::WrongName(_) => {
                "Use the name in the certificate, or install a certificate for the server's name. Then try again."
            }
            Self::Invalid(_) => "Replace the server's certificate. Then try again.",
            Self::NotTls => "Use the port on which the server speaks TLS. Then try again.",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAuthority => f.write_str("its TLS certificate is signed by an unknown authority"),
            Self::Expired(when) => write!(f, "its TLS certificate has expired{when}"),
            Self::NotYetValid => f.write_str("its TLS certificate is not valid yet"),
            Self::WrongName(names) => write!(f, "its TLS certificate has the wrong host name: it is for {names}"),
            Self::Invalid(problem) => write!(f, "its TLS certificate is not valid ({problem})"),
            Self::NotTls => f.write_str("it does not speak TLS"),
        }
    }
}

/// Why a connection failed. A TLS problem is explained, together with its fix.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    match Problem::of(error) {
        Some(problem) => format!("{problem}. {}", problem.fix()),
        None => innermost(error),
    }
}

/// The last error in a chain. The outer ones only repeat that the call failed.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn tls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e TlsError> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// An error and its sources. `io::Error::source` skips the error inside the I/O error, so it is added here.
fn chain<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| next(error))
}

fn next<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inside.map(|inside| inside as &(dyn StdError + 'static)).or_else(|| error.source())
}

fn ago(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => " less than a day ago".into(),
        1 => " a day ago".into(),
        days => format!(" {days} days ago"),
    }
}

/// The library writes a name as `DnsName("example.com")` and an address as `IpAddress(192.0.2.1)`.
fn names(presented: &[String]) -> String {
    let name = |text: &String| {
        let inside = text.split_once('(').and_then(|(_, inside)| inside.strip_suffix(')'));
        shown(inside.unwrap_or(text).trim_matches('"'))
    };
    if presented.is_empty() {
        "no name at all".into()
    } else {
        presented.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(problem: CertificateError) -> Option<Problem> {
        let inside = io::Error::new(io::ErrorKind::InvalidData, TlsError::InvalidCertificate(problem));
        Problem::of(&io::Error::other(inside))
    }

    #[test]
    fn a_problem_is_found_inside_other_errors() {
        assert_eq!(of(CertificateError::UnknownIssuer), Some(Problem::UnknownAuthority));
        assert_eq!(of(CertificateError::Expired), Some(Problem::Expired(String::new())));
        assert_eq!(of(CertificateError::Revoked), Some(Problem::Invalid(CertificateError::Revoked.to_string())));
        assert_eq!(Problem::of(&io::Error::other("refused")), None);
        assert_eq!(cause(&io::Error::other("refused")), "refused");
    }

    #[test]
    fn each_problem_says_what_is_wrong_and_what_to_do() {
        for problem in [
            Problem::UnknownAuthority,
            Problem::Expired(ago(3 * 86_400)),
            Problem::NotYetValid,
            Problem::WrongName(names(&["DnsName(\"a.example.com\")".into(), "IpAddress(192.0.2.1)".into()])),
            Problem::Invalid("revoked".into()),
            Problem::NotTls,
        ] {
            assert!(problem.to_string().contains("TLS") && problem.fix().ends_with("Then try again."), "{problem}");
        }
        assert!(Problem::Expired(ago(3 * 86_400)).to_string().ends_with("expired 3 days ago"));
        assert_eq!(
            names(&["DnsName(\"a.example.com\")".into(), "IpAddress(192.0.2.1)".into()]),
            "a.example.com, 192.0.2.1"
        );
    }
}
