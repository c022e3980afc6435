"""The address of a template, as the console and CloudFormation understand it."""

import re
from urllib.parse import quote, unquote, urlsplit

# CloudFormation's limit. The console's documentation names the same number for templateURL.
MOST = 1024
_HOST = re.compile(r"(?P<bucket>[a-z0-9.-]{3,63})\.s3\.(?P<region>[a-z0-9-]+)\.amazonaws\.(com|com\.cn|eu)")


class Unusable(Exception):
    """CloudFormation would not read a template from this address."""


def parse(url):
    """The bucket, its region and the key in a virtual-hosted-style S3 URL."""
    parts = urlsplit(url)
    host = _HOST.fullmatch(parts.netloc)
    if len(url) > MOST:
        raise Unusable(f"templateURL has {len(url)} characters. The limit is {MOST}.")
    if parts.scheme != "https" or not host or parts.query or parts.fragment or len(parts.path) < 2:
        raise Unusable(f"templateURL is not the https URL of an object in S3: {url}")
    return host["bucket"], host["region"], unquote(parts.path[1:])


def in_ministack(url, aws_url):
    """The same object's URL in MiniStack, which knows path-style URLs only."""
    bucket, _, key = parse(url)
    return f"{aws_url}/{bucket}/{quote(key)}"
