"""A release in MiniStack's S3, as `make publish` leaves it on AWS: one bucket of publisher.yaml in each region."""

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from demo.overlay import overlaid
from demo.servers import ACCOUNT
from release import buckets, names
from stack.template import parse

LIST = Path("tools/launch/buckets.txt")
_PUBLISHER = Path("publisher.yaml")
_STACK = "publisher"
# MiniStack's own region. A stack there would not show that each region needs its own bucket.
_HOME = "us-east-1"


class Published:
    """The buckets of the release, and the one in whose region the stack is created.

    `client` makes a boto3 client of a service in a region.
    """

    def __init__(self, dist, client):
        self._dist = dist
        self._client = client
        self._text = dist.path(names.TEMPLATE).read_text(encoding="utf-8")
        self.template = parse(self._text)
        self.buckets = buckets.read(LIST)
        self.bucket = next(bucket for bucket in reversed(self.buckets) if bucket.region != _HOME)

    @property
    def page_url(self):
        """The URL of the launch page."""
        return names.url(self.bucket, names.latest_key(names.PAGE))

    @property
    def template_url(self):
        """The URL of the template in the stack's region."""
        return names.url(self.bucket, names.key(self._dist.version, names.TEMPLATE))

    def create_buckets(self):
        """Deploys publisher.yaml in each region."""
        for bucket in self.buckets:
            prefix = bucket.name.removesuffix(f"-{ACCOUNT}-{bucket.region}-an")
            chosen = {"Readers": "everyone", "BucketPrefix": prefix}
            client = self._client("cloudformation", bucket.region)
            client.create_stack(
                StackName=_STACK,
                TemplateBody=_PUBLISHER.read_text(encoding="utf-8"),
                Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in chosen.items()],
                Capabilities=["CAPABILITY_IAM"],
            )
            waiting = {"Delay": 0.1, "MaxAttempts": 300}
            client.get_waiter("stack_create_complete").wait(StackName=_STACK, WaiterConfig=waiting)

    def publish(self, environment):
        """Runs the command of make publish. Returns whether it succeeded, and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "publish"],
            env=environment | {"BUCKETS": str(LIST), "PYTHONPATH": os.environ["PYTHONPATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout

    def closed(self, s3_url):
        """The objects that someone without AWS credentials cannot read as they are in dist/."""
        keys = {names.latest_key(names.PAGE): names.PAGE, names.key(self._dist.version, names.TEMPLATE): names.TEMPLATE}
        return [
            f"{bucket.name}/{key}"
            for bucket in self.buckets
            for key, name in keys.items()
            if _read(f"{s3_url}/{bucket.name}/{key}") != self._dist.path(name).read_bytes()
        ]

    def overlay(self):
        """Replaces the policy statements that MiniStack cannot evaluate, and returns the difference.

        On AWS nobody could do that: publisher.yaml denies every change of a published file. MiniStack's administrator
        obeys no policy.
        """
        text, difference = overlaid(self._text, names.TEMPLATE)
        self._client("s3", self.bucket.region).put_object(
            Bucket=self.bucket.name, Key=names.key(self._dist.version, names.TEMPLATE), Body=text.encode()
        )
        return difference


def _read(url):
    """What everyone can read at a URL, or None."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.HTTPError), opener.open(url, timeout=30) as response:
        return response.read()
    return None
