"""A release in MiniStack's S3, with one bucket per region, as it is on AWS after `make publish`."""

import json

from samcli.yamlhelper import yaml_parse

from demo.overlay import overlaid
from release import names
from release.buckets import Bucket
from stack.problem import Problem

# MiniStack's own region. A stack there would not show that each region needs its own bucket.
HOME = "us-east-1"
_TYPES = {".html": "text/html; charset=utf-8", ".zip": "application/zip"}


class Published:
    """The buckets of a release, and the one in whose region the stack is created."""

    def __init__(self, dist, client):
        self._dist = dist
        self._client = client
        self.template = dist.path(names.TEMPLATE).read_text(encoding="utf-8")
        self.buckets = _buckets(self.template)
        elsewhere = [bucket for bucket in self.buckets if bucket.region != HOME]
        if not elsewhere:
            raise Problem(
                f"The release in {dist.folder} has no bucket outside {HOME}, so its page has no link to click on.",
                "Run: make release BUCKETS=tools/launch/buckets.txt",
            )
        self.bucket = elsewhere[0]

    @property
    def page_url(self):
        """The URL of the launch page."""
        return names.url(self.bucket, names.latest_key(names.PAGE))

    @property
    def template_url(self):
        """The URL of the template in the stack's region."""
        return names.url(self.bucket, self._key(names.TEMPLATE))

    def publish(self):
        """Creates the buckets, and uploads the release to each of them."""
        for bucket in self.buckets:
            self._create(bucket)
            for name in self._dist.names():
                self._put(bucket, self._key(name), self._dist.path(name).read_bytes())
            self._put(bucket, names.latest_key(names.PAGE), self._dist.path(names.PAGE).read_bytes())

    def overlay(self):
        """Replaces the policy statements that MiniStack cannot evaluate, and returns the difference."""
        text, difference = overlaid(self.template, names.TEMPLATE)
        self._put(self.bucket, self._key(names.TEMPLATE), text.encode())
        return difference

    def _key(self, name):
        return names.key(self._dist.version, name)

    def _create(self, bucket):
        client = self._client("s3", bucket.region)
        # S3 accepts every region as a constraint, except its own first one.
        place = {} if bucket.region == HOME else {"CreateBucketConfiguration": {"LocationConstraint": bucket.region}}
        client.create_bucket(Bucket=bucket.name, **place)
        # The browser has no AWS credentials, so everyone may read.
        client.put_public_access_block(
            Bucket=bucket.name, PublicAccessBlockConfiguration={"BlockPublicPolicy": False}
        )
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": [f"arn:aws:s3:::{bucket.name}/{prefix}/*" for prefix in ("releases", "latest")],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))

    def _put(self, bucket, key, body):
        kind = next((kind for ending, kind in _TYPES.items() if key.endswith(ending)), "text/plain; charset=utf-8")
        self._client("s3", bucket.region).put_object(Bucket=bucket.name, Key=key, Body=body, ContentType=kind)


def _buckets(template):
    """The buckets that a template knows."""
    rows = yaml_parse(template)["Mappings"]["CodeBuckets"]
    return [Bucket(region, row["Name"], 0) for region, row in rows.items() if row["Name"]]
