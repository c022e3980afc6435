"""Makes the published template from template.yaml and published.yaml."""

import base64
import re
import textwrap
from pathlib import Path

from stack.problem import Problem

from . import names
from .weave import remove, weave

SOURCE = Path("template.yaml")
ADDITION = Path(__file__).with_name("published.yaml")

# What sam build and the SAM transform need. The published template has no transform, so the console asks for
# CAPABILITY_IAM alone, and service-managed StackSets accept the template.
REMOVED = (("Transform",), ("Resources", "Function", "Metadata"), ("Resources", "Function", "Properties", "CodeUri"))

# CloudFormation's limit for a template that is part of the request, as in create-stack --template-body and Terraform.
MAX_BYTES = 51_200

_WIDTH = 120
# What the rule compares with the region, and shows, if there is no bucket at all.
_NONE = ["none"]


def published(release, digest, buckets, source=None):
    """The published template. `digest` is the zip's SHA-256 in hexadecimal."""
    text = source if source is not None else SOURCE.read_text(encoding="utf-8")
    for path in REMOVED:
        text = remove(text, path)
    text = weave(text, addition(release, digest, buckets))
    if len(text.encode()) > MAX_BYTES:
        raise Problem(f"The published template has {len(text.encode()):,} bytes. CloudFormation allows {MAX_BYTES:,}.")
    return text


def addition(release, digest, buckets):
    """published.yaml, filled in."""
    text = ADDITION.read_text(encoding="utf-8")
    for bucket in buckets:
        text = _with_bucket(text, bucket)
    words = {
        "RELEASE_KEY": names.key(release, names.zip_name(release, digest)),
        "RELEASE_SHA256": base64.b64encode(bytes.fromhex(digest)).decode(),
        "RELEASE_REGIONS": ", ".join(bucket.region for bucket in buckets) or ", ".join(_NONE),
    }
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return "\n".join(_filled(line, words) for line in lines) + "\n"


def _with_bucket(text, bucket):
    row = f'    {bucket.region}: {{Name: ""}}\n'
    if text.count(row) != 1:
        raise Problem(f"{ADDITION.name} must contain this line once: {row.strip()}")
    return text.replace(row, row.replace('""', bucket.name))


def _filled(line, words):
    """A line with its words filled in. If it becomes too long, it continues on the next lines."""
    new = re.sub(r"\bRELEASE_[A-Z0-9]+\b", lambda found: words[found[0]], line)
    if new == line:
        return line
    # In a flow sequence, the items stand below each other. All other lines belong to a text.
    indent = " " * (line.index("[") + 1 if "- [" in line else len(line) - len(line.lstrip()))
    wrapper = textwrap.TextWrapper(_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return wrapper.fill(new)
