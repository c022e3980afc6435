"""Reads a list of buckets: `REGION BUCKET` on each line, and comments that begin with #."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from stack.problem import Misuse

from .regions import regions

# Bucket names may also contain dots. AWS's certificate for BUCKET.s3.REGION.amazonaws.com does not cover such names, so
# a browser and the console could not read from them over https.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# S3 reserves these for access points and directory buckets (S3's rules for bucket names).
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the line of the list that names it."""

    region: str
    name: str
    line: int


def read(path):
    """The buckets of a file, in its order. Raises Misuse, which names every wrong line."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise Misuse(f"Cannot read the list of buckets {path}: {reason}.", _FORM) from None
    return parse(text, path)


def parse(text, path):
    """The buckets of a text. `path` is named in the problems."""
    found, problems = [], []
    for number, words in _lines(text):
        problem = _problem(words)
        if not problem:
            bucket = Bucket(*words, number)
            problem = _repeated(bucket, found)
            found.append(bucket)
        if problem:
            problems.append(f"{path}:{number}: {problem}")
    if not found and not problems:
        problems = [f"{path}: no bucket is listed."]
    if problems:
        raise Misuse("\n".join(problems), _FORM)
    return found


_FORM = "Each line is REGION BUCKET, for example: eu-central-1 my-releases-eu-central-1. Comments begin with #."


def _lines(text):
    """Yields the number and the words of each line that is neither empty nor a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        if words := line.partition("#")[0].split():
            yield number, words


def _problem(words):
    """What is wrong with one line by itself, or an empty text."""
    region, *rest = words
    if region not in regions():
        return _unknown(region)
    if not rest:
        return f"{region} has no bucket."
    if len(rest) > 1:
        return f"expected a region and a bucket, but found {len(words)} words: {' '.join(words)}"
    return _invalid(rest[0])


def _unknown(region):
    close = difflib.get_close_matches(region, regions(), n=1)
    return f"{region} is not an AWS region." + (f" Did you mean {close[0]}?" if close else "")


def _invalid(name):
    if "." in name:
        return f"{name} contains a dot. AWS's certificate does not cover the https addresses of such a bucket."
    if not _NAME.fullmatch(name) or name.startswith(_RESERVED_STARTS) or name.endswith(_RESERVED_ENDS):
        return f"{name} is not a valid name of a bucket (3 to 63 lower-case letters, digits and hyphens)."
    return ""


def _repeated(bucket, earlier):
    """Says on which line the bucket's region or name already is. A name is unique in its partition."""
    for other in earlier:
        if other.region == bucket.region:
            return f"{bucket.region} is already on line {other.line}."
        if other.name == bucket.name and _partition(other) == _partition(bucket):
            return f"the bucket {bucket.name} is already on line {other.line}, but a bucket has only one region."
    return ""


def _partition(bucket):
    return regions()[bucket.region].partition
