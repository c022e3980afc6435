//! Interprets a failed AWS call: whether to send it again, and whether it may have taken effect despite the failure.

use std::error::Error as StdError;

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;

use crate::certificate;
use crate::error::denial::Denial;
use crate::error::{Error, Trouble};
use crate::redact::shown;

/// A failed attempt at an AWS call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// What went wrong.
    pub trouble: Trouble,
    /// Whether the call may have taken effect. Only a documented error code, in a response with AWS's request ID and a
    /// status below 500, proves that it did not.
    pub may_have_worked: bool,
    /// The error code. If there is none, a short description of the failure.
    pub code: String,
    /// The service's message.
    pub message: String,
}

impl Failed {
    /// Reads the SDK's error for a failed attempt.
    pub(crate) fn read<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        match error {
            SdkError::ServiceError(service) => Self::of_response(service.err(), service.raw()),
            SdkError::ResponseError(response) => Self::of_unreadable(response.raw()),
            SdkError::TimeoutError(_) => Self::no_response(),
            SdkError::DispatchFailure(failure) => Self::of_connection(failure.as_connector_error()),
            _ => Self {
                trouble: Trouble::Rejected,
                may_have_worked: false,
                code: "not sent".into(),
                message: "the request could not be built".into(),
            },
        }
    }

    /// No response arrived within the time for one attempt.
    pub(crate) fn no_response() -> Self {
        Self {
            trouble: Trouble::Lost,
            may_have_worked: true,
            code: "no response".into(),
            message: "the service did not respond in time".into(),
        }
    }

    /// A success response without AWS's request ID. For calls that return no data, the SDK checks only the status.
    pub(crate) fn not_aws() -> Self {
        Self {
            trouble: Trouble::NotAws,
            may_have_worked: true,
            code: "unreadable response".into(),
            message: "the response has no AWS request ID, so something between this function and AWS sent it".into(),
        }
    }

    /// Converts this failure to the error for the status reason.
    pub(crate) fn into_error(self, call: &'static str) -> Error {
        let Self { trouble, may_have_worked, code, message } = self;
        Error::Aws { call, code, message: message.into(), trouble, may_have_worked }
    }

    fn of_response(error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> Self {
        let (code, message) = (error.code(), error.message());
        let status = raw.status().as_u16();
        let is_from_aws = has_request_id(raw);
        Self {
            trouble: trouble(code.unwrap_or_default(), message.unwrap_or_default(), status, is_from_aws),
            may_have_worked: status >= 500 || !is_from_aws || !code.is_some_and(is_documented),
            code: code.map_or_else(|| format!("status {status}"), shown),
            message: shown(message.unwrap_or("the response has no AWS error code")),
        }
    }

    /// The response itself is not shown, because it may contain a secret.
    fn of_unreadable(raw: &HttpResponse) -> Self {
        // An incomplete body does not show where the response came from.
        if raw.body().bytes().is_some() && !has_request_id(raw) {
            return Self::not_aws();
        }
        Self {
            trouble: Trouble::Lost,
            may_have_worked: true,
            code: "unreadable response".into(),
            message: "the service's response could not be read".into(),
        }
    }

    fn of_connection(error: Option<&ConnectorError>) -> Self {
        let was_made = !error.is_some_and(|error| is_connect(error));
        let cause = error.map(|error| certificate::cause(error)).unwrap_or_default();
        Self {
            trouble: if was_made { Trouble::Lost } else { Trouble::Unreachable },
            may_have_worked: was_made,
            code: "no response".into(),
            message: format!("the service could not be reached ({cause})"),
        }
    }
}

fn trouble(code: &str, message: &str, status: u16, is_from_aws: bool) -> Trouble {
    match code {
        code if is_throttled(code, message, status) || is_unavailable(code, status) => Trouble::Busy,
        _ if !is_from_aws => Trouble::NotAws,
        code if is_unknown_client(code) => Trouble::NotPermitted,
        code if Denial::read(code, message).is_some_and(|denial| !denial.is_permanent()) => Trouble::NotPermitted,
        _ => Trouble::Rejected,
    }
}

/// Whether AWS is throttling calls. Each service has its own code for that. `LimitExceeded` is not one of them: it
/// means that a quota is used up.
fn is_throttled(code: &str, message: &str, status: u16) -> bool {
    const CODES: [&str; 7] = [
        "toomanyrequests",
        "requestlimitexceeded",
        "slowdown",
        "bandwidthlimitexceeded",
        "priorrequestnotcomplete",
        "provisionedthroughputexceeded",
        "ratelimitexceeded",
    ];
    let code = code.to_ascii_lowercase();
    status == 429
        || code.contains("throttl")
        || CODES.iter().any(|spelling| code.starts_with(spelling))
        || message.to_ascii_lowercase().contains("rate exceeded")
}

/// Whether AWS is temporarily unavailable. These codes may also come with a status below 500.
fn is_unavailable(code: &str, status: u16) -> bool {
    const CODES: [&str; 8] = [
        "serviceunavailable",
        "servicefailure",
        "internalfailure",
        "internalerror",
        "internalservererror",
        "internalserviceerror",
        "internalserviceexception",
        "requesttimeout",
    ];
    let code = code.to_ascii_lowercase();
    status >= 500 || CODES.iter().any(|spelling| code.starts_with(spelling))
}

/// Whether the code means that a service does not know the credentials. They may be new, or the account may not have
/// enabled the region. IAM and STS return the first code. Services with a JSON protocol return the second.
pub(crate) fn is_unknown_client(code: &str) -> bool {
    matches!(code, "InvalidClientTokenId" | "UnrecognizedClientException")
}

/// Whether the code proves that a call did not take effect. The list contains the codes in IAM's API reference,
/// including its common errors.
fn is_documented(code: &str) -> bool {
    const CODES: [&str; 30] = [
        "AccessDenied",
        "AccessDeniedException",
        "ConcurrentModification",
        "DeleteConflict",
        "EntityAlreadyExists",
        "EntityTemporarilyUnmodifiable",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAction",
        "InvalidClientTokenId",
        "InvalidInput",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidUserType",
        "LimitExceeded",
        "MalformedPolicyDocument",
        "MalformedQueryString",
        "MissingAction",
        "MissingAuthenticationToken",
        "MissingParameter",
        "NoSuchEntity",
        "NotAuthorized",
        "OptInRequired",
        "PolicyNotAttachable",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnmodifiableEntity",
        "UnrecognizedClientException",
        "ValidationError",
    ];
    CODES.contains(&code) || is_throttled(code, "", 400)
}

/// AWS returns the request ID in a header, and in XML responses also in the body.
fn has_request_id(raw: &HttpResponse) -> bool {
    let in_body = || raw.body().bytes().is_some_and(|body| String::from_utf8_lossy(body).contains("<RequestId>"));
    raw.request_id().is_some() || in_body()
}

/// Whether the function could not even connect. hyper-util's error says so only in its text.
fn is_connect(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().starts_with("client error (Connect)") {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, message: &str, status: u16) -> Trouble {
        trouble(code, message, status, true)
    }

    #[test]
    fn every_code_for_throttling_or_unavailability_is_busy() {
        for (code, message, status) in [
            ("Throttling", "", 400),
            ("ThrottlingException", "", 400),
            ("ThrottledException", "", 400),
            ("RequestThrottled", "", 400),
            ("RequestThrottledException", "", 400),
            ("TooManyRequestsException", "", 400),
            ("RequestLimitExceeded", "", 503),
            ("SlowDown", "", 400),
            ("Odd", "Rate exceeded", 400),
            ("", "", 429),
            ("ServiceUnavailable", "", 400),
            ("ServiceUnavailableException", "", 400),
            ("ServiceFailure", "", 400),
            ("InternalFailure", "", 400),
            ("InternalServiceError", "", 400),
            ("InternalServerError", "", 400),
            ("", "", 502),
        ] {
            assert_eq!(of(code, message, status), Trouble::Busy, "{code} {message} {status}");
            assert_eq!(trouble(code, message, status, false), Trouble::Busy, "{code} {message} {status}");
        }
    }

    #[test]
    fn an_exceeded_quota_is_not_throttling() {
        for code in ["LimitExceeded", "NoSuchEntity", "ValidationError"] {
            assert_eq!(of(code, "Cannot exceed quota for AccessKeysPerUser: 2", 409), Trouble::Rejected, "{code}");
        }
    }

    #[test]
    fn an_error_without_a_request_id_is_not_from_aws() {
        assert_eq!(trouble("NoSuchEntity", "", 404, false), Trouble::NotAws);
        assert_eq!(trouble("", "", 403, false), Trouble::NotAws);
    }

    #[test]
    fn unknown_credentials_and_denials_count_as_not_permitted() {
        for code in ["AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClientException"] {
            assert_eq!(of(code, "", 403), Trouble::NotPermitted, "{code}");
        }
    }
}
