"""Rejects what a proxy sends in place of AWS's response, before the SDK reads it.

The SDK trusts the status. To its S3 client, a sign-in page with the status 200 is a successful upload. For other
services it raises the exception that its parser, or the first use of the missing result, happens to raise.
"""

from botocore.exceptions import HTTPClientError

# Every response of AWS has one of these headers.
_IDS = ("x-amzn-requestid", "x-amz-request-id")


class NotGenuine(HTTPClientError):
    """A response that AWS did not send, or that broke off."""

    fmt = "{problem}"


def check(operation_model, response_dict, **_):
    """Handles the SDK's event before-parse."""
    status, headers = response_dict["status_code"], response_dict["headers"]
    if any(name in headers for name in _IDS):
        _check_length(operation_model, response_dict)
    elif status >= 500:
        # Without the page as its body, the SDK repeats the call and, in the end, raises an error with this status.
        response_dict["body"] = b""
    else:
        kind = headers.get("content-type", "unknown type")
        raise NotGenuine(
            problem=f"the response to {operation_model.name} did not come from AWS (status {status}, {kind})."
        )


def _check_length(operation_model, response_dict):
    """The SDK itself checks the length only of a response that it streams. A response to HEAD has no body."""
    body, length = response_dict["body"], response_dict["headers"].get("content-length", "")
    is_encoded = "content-encoding" in response_dict["headers"]
    if not isinstance(body, bytes) or not length.isdigit() or is_encoded or operation_model.http["method"] == "HEAD":
        return
    if len(body) < int(length):
        raise NotGenuine(
            problem=f"the response to {operation_model.name} broke off after {len(body)} of {length} bytes."
        )
