"""Explains the errors of AWS's SDK to a person."""

import os

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from .genuine import NotGenuine
from .problem import Problem, shell

# Every error of the SDK that does not mean that this program is wrong. ResponseParserError has no base class in common.
ERRORS = (sdk.ClientError, sdk.BotoCoreError, ResponseParserError)

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
# AWS returns these codes if it does not know the access key or the session, and in a region that is not enabled.
UNKNOWN_CREDENTIALS = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"}
WRONG_SECRET = {"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
_CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}


def code(error):
    """The error code of an AWS service."""
    return error.response.get("Error", {}).get("Code", "")


def text(error):
    """The error message of an AWS service."""
    return error.response.get("Error", {}).get("Message", "")


def explain(error):
    """The problem behind an error of the SDK."""
    if isinstance(error, sdk.ClientError):
        return _of_service(error)
    return next((make(error) for kinds, make in _OF_SDK if isinstance(error, kinds)), Problem(f"AWS SDK: {error}"))


def no_credentials(*_):
    """There is no profile, variable or role with credentials."""
    return Problem(
        "There are no AWS credentials.",
        f"Sign in with {_sign_in()}, or choose a profile: export AWS_PROFILE=NAME",
    )


def _of_service(error):
    name, message = code(error), text(error)
    if name in EXPIRED:
        return _expired()
    if "expired" in message.lower() and name in WRONG_SECRET | _CLOCK or name in _CLOCK:
        return Problem(
            "AWS rejected the request, because this computer's clock differs from AWS's.",
            f"Set this computer's clock. AWS says: {message}",
        )
    if name in UNKNOWN_CREDENTIALS | WRONG_SECRET:
        return Problem(
            f"AWS does not know these credentials ({name}).",
            f"Sign in with {_sign_in()}, or export another AWS_PROFILE. To check: aws sts get-caller-identity",
        )
    if name in DENIED:
        return Problem(
            f"You are not allowed to call {error.operation_name}. AWS says: {message}",
            "Ask your administrator for this permission. docs/deployer.md describes a policy that is sufficient.",
        )
    if name in THROTTLED:
        return Problem(f"AWS throttled {error.operation_name} for a long time.", "Run the command again in a minute.")
    # A response of AWS, or of a proxy, without an error code that the SDK could read.
    if name.isdigit() and int(name) >= 500:
        return Problem(f"{error.operation_name} failed: AWS, or a proxy, responded with the status {name}.", _PROXY)
    return Problem(f"{error.operation_name} failed ({name}): {message}")


def _expired(*_):
    return Problem("Your AWS session has expired.", f"Sign in again with {_sign_in()}, then run the command again.")


def _no_profile(error):
    return Problem(f"{error}.", "List your profiles with: aws configure list-profiles\nThen: export AWS_PROFILE=NAME")


def _unreachable(error):
    return Problem(f"AWS cannot be reached: {error}", "Check the network and the variables HTTPS_PROXY and NO_PROXY.")


def _not_genuine(error):
    return Problem(f"AWS cannot be reached: {error}", _PROXY)


def _unreadable(error):
    return Problem(f"A response of AWS, or of a proxy, cannot be read: {str(error).partition(', invalid')[0]}", _PROXY)


def _untrusted(error):
    return Problem(
        f"The certificate of AWS, or of a proxy, is not trusted: {error}",
        "If your company has its own certificate authority: export AWS_CA_BUNDLE=/path/to/certificates.pem",
    )


def _settings(error):
    return Problem(f"The AWS configuration cannot be used: {error}", "Correct it in ~/.aws/config or ~/.aws/credentials.")


def _sign_in():
    """The command that signs in, with the profile that is in use."""
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    return shell("aws", "sso", "login", *(["--profile", profile] if profile else [])) + " or aws configure"


_PROXY = (
    "Run the command again. If this happens again, sign in to the network or its proxy, or change the variables"
    " HTTPS_PROXY and NO_PROXY."
)

_OF_SDK = (
    (NotGenuine, _not_genuine),
    (ResponseParserError, _unreadable),
    (sdk.ProfileNotFound, _no_profile),
    ((sdk.NoCredentialsError, sdk.PartialCredentialsError), no_credentials),
    ((sdk.SSOError, sdk.TokenRetrievalError, sdk.CredentialRetrievalError), _expired),
    (sdk.SSLError, _untrusted),
    ((sdk.HTTPClientError, sdk.ConnectionError), _unreachable),
    ((sdk.ConfigParseError, sdk.ConfigNotFound, sdk.InvalidConfigError), _settings),
)
