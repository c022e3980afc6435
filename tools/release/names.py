"""The names of a release: its version, the files in dist/, and their keys and URLs in the buckets."""

import tomllib
from pathlib import Path
from urllib.parse import quote

from .regions import regions

TEMPLATE = "coiled.template.yaml"
PAGE = "index.html"
SUMS = "SHA256SUMS"
SBOM = "sbom.cdx.json"
NOTES = "RELEASE.md"

# The only file in the zip. SHA256SUMS lists it too.
BINARY = "bootstrap"

_SHORT = 16


def version(cargo_toml=Path("Cargo.toml")):
    """The version of this release, such as 0.1.0."""
    return tomllib.loads(cargo_toml.read_text(encoding="utf-8"))["package"]["version"]


def zip_name(release, digest):
    """The name of the zip with the function. `digest` is the zip's SHA-256 in hexadecimal."""
    return f"coiled-{release}-{digest[:_SHORT]}.zip"


def key(release, name):
    """The key of a file that never changes."""
    return f"releases/{release}/{name}"


def latest_key(name):
    """The key of a file that the next release replaces."""
    return f"latest/{name}"


def url(bucket, bucket_key):
    """The URL of an object. `bucket` is a Bucket, which knows its region."""
    suffix = regions()[bucket.region].partition.suffix
    return f"https://{bucket.name}.s3.{bucket.region}.{suffix}/{quote(bucket_key)}"
