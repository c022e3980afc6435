"""One bucket of the list: whether it is the right one, what is in it, and uploads to it."""

import base64
import hashlib

from botocore.exceptions import ClientError

from stack import failures
from stack.problem import Problem

# Two uploads of the same object at the same time: S3 answers 409 to one of them, which then has to be repeated.
_CONFLICT = "ConditionalRequestConflict"
_ATTEMPTS = 5

_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json", ".zip": "application/zip"}
# Browsers show this type, and download application/yaml.
_OTHER_TYPE = "text/plain; charset=utf-8"

FOREVER = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"


class Target:
    """A bucket. Every call names the account that must own it, so nothing is ever sent to a stranger's bucket."""

    def __init__(self, aws, bucket):
        self.bucket = bucket
        self._client = aws.client("s3", bucket.region)
        self._anonymous = aws.anonymous("s3", bucket.region)
        self._account = aws.account
        self._here = {"Bucket": bucket.name, "ExpectedBucketOwner": aws.account}

    def fault(self):
        """Why nothing can be published to this bucket; empty if it is the right one."""
        try:
            region = self._client.head_bucket(**self._here)["BucketRegion"]
        except ClientError as error:
            return self._refusal(error)
        if region != self.bucket.region:
            return f"the bucket {self.bucket.name} is in {region}, not in {self.bucket.region}."
        return ""

    def _refusal(self, error):
        # Responses to HEAD have no body, so there is only the status.
        if failures.code(error) == "404":
            return f"there is no bucket {self.bucket.name}."
        if failures.code(error) != "403":
            raise error
        owner = f"the bucket {self.bucket.name} belongs to another account than yours, {self._account}"
        return f"{owner}." if self._is_open() else f"{owner}, or you lack the permission s3:ListBucket on it."

    def _is_open(self):
        """Whether the bucket can be listed without a look at its owner."""
        try:
            self._client.head_bucket(Bucket=self.bucket.name)
        except ClientError:
            return False
        return True

    def names(self, folder):
        """The names of all objects in a folder."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Prefix=folder, **self._here)
        return [found["Key"].removeprefix(folder) for page in pages for found in page.get("Contents", [])]

    def digest(self, key):
        """The SHA-256 of an object, in hexadecimal."""
        head = self._client.head_object(Key=key, ChecksumMode="ENABLED", **self._here)
        if checksum := _whole(head):
            return base64.b64decode(checksum).hex()
        # Uploaded by another program, without this checksum.
        return hashlib.sha256(self.read(key)).hexdigest()

    def read(self, key):
        """The bytes of an object."""
        return self._client.get_object(Key=key, **self._here)["Body"].read()

    def add(self, key, path, digest):
        """Uploads a file under a key that has no object yet. An object with the same bytes is left as it is."""
        for _ in range(_ATTEMPTS):
            try:
                return self._put(key, path, digest, CacheControl=FOREVER, IfNoneMatch="*")
            except ClientError as error:
                if failures.code(error) == "PreconditionFailed":
                    # Another run was faster, or S3's response to this upload was lost and the SDK repeated it.
                    return self._expect(key, digest)
                if failures.code(error) != _CONFLICT:
                    raise
        raise Problem(f"{self.url(key)}: another upload of the same object does not end.", "Run the command again.")

    def replace(self, key, path, digest):
        """Uploads a file, whatever the key has now."""
        self._put(key, path, digest, CacheControl=ALWAYS_ASK)

    def is_public(self, key):
        """Whether everyone can read an object."""
        try:
            self._anonymous.head_object(Bucket=self.bucket.name, Key=key)
        except ClientError as error:
            if failures.code(error) == "403":
                return False
            raise
        return True

    def url(self, key):
        """An object as the AWS CLI names it."""
        return f"s3://{self.bucket.name}/{key}"

    def _put(self, key, path, digest, **conditions):
        # S3 rejects bytes that do not match the checksum, so only what was checked is published.
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        kind = _TYPES.get(path.suffix, _OTHER_TYPE)
        with path.open("rb") as body:
            self._client.put_object(
                Key=key, Body=body, ContentType=kind, ChecksumSHA256=checksum, **conditions, **self._here
            )

    def _expect(self, key, digest):
        if self.digest(key) != digest:
            raise Problem(
                f"{self.url(key)}: another run uploaded other bytes under this name at the same time.",
                "A published version never changes. Find out who else publishes this version.",
            )


def _whole(head):
    """The SHA-256 in S3's answer, unless it is that of the parts of a multipart upload."""
    return head.get("ChecksumSHA256") if head.get("ChecksumType") != "COMPOSITE" else None
