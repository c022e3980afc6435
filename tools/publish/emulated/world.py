"""MiniStack with the layer in front of it, the buckets of publisher.yaml in three regions, and a release in dist/."""

import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from unittest import mock

import boto3
from botocore import UNSIGNED
from botocore.config import Config

import loopback
from launch import page
from release import names
from release.buckets import Bucket

from ..__main__ import main
from .layer import HOST, Layer

ROOT = Path(__file__).parents[3]
MINISTACK = ROOT / ".tools/ministack/bin/ministack"
ACCOUNT, STRANGER = "111122223333", "444455556666"
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
SUBJECT = "repo:coiled@1/aws-stack@2:environment:release"


class World:
    """Everything that the tests need. MiniStack is started once."""

    def __init__(self):
        self._session = boto3.session.Session()
        self._exit = contextlib.ExitStack()
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory()))
        with socket.create_server((HOST, 0)) as server:
            self._port = server.getsockname()[1]
        child = loopback.Child([MINISTACK], self._environment(), lambda _: None)
        self._exit.enter_context(child.process)
        self._exit.callback(child.stop)
        loopback.wait_for(self._port, child)
        self.layer = self._exit.enter_context(Layer(self._port, self.admin("s3")))
        self._number = 0
        # The access key with which the command runs.
        self.key = None

    def close(self):
        """Stops MiniStack and the layer."""
        self._exit.close()

    def _environment(self):
        home = str(self.folder)
        # Without BIND_HOST, MiniStack would listen on all interfaces. With AUTH, it checks signatures and policies.
        return {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "BIND_HOST": HOST, "AUTH": "true"} | {
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "IOT_MTLS_ENABLED": "0",
        }

    @functools.cache
    def admin(self, service, region=REGIONS[0], account=ACCOUNT):
        """A client with all permissions. To MiniStack, an account's ID is the access key of its root user."""
        return self._session.client(
            service, region, endpoint_url=f"http://{HOST}:{self._port}", config=_NO_PROXY,
            aws_access_key_id=account, aws_secret_access_key="test",
        )

    def s3(self, region, key=None, **config):
        """A client of S3 that goes through the layer, by default with the publisher's permissions."""
        key = key or self.key
        return self._session.client(
            "s3", region, endpoint_url=self.layer.url, config=_NO_PROXY.merge(Config(**config)),
            aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
        )

    def anonymous(self, region):
        """A client of S3 without credentials."""
        return self.s3(region, signature_version=UNSIGNED)

    def user(self, name, policy):
        """The access key of a new user in the publisher's account with one policy."""
        iam = self.admin("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=json.dumps(policy))
        return iam.create_access_key(UserName=name)["AccessKey"]

    def buckets(self, readers="everyone"):
        """Deploys publisher.yaml in three regions. Returns the list of buckets, and uses the key of their publisher."""
        self._number += 1
        prefix = f"test-{self._number}"
        for region in REGIONS:
            chosen = {"Readers": readers, "BucketPrefix": prefix}
            if region == REGIONS[0]:
                chosen |= {"OidcProviderArn": PROVIDER, "Subject": SUBJECT}
            self._deploy(prefix, region, chosen)
        self.key = self._publisher(prefix)
        found = [Bucket(region, f"{prefix}-{ACCOUNT}-{region}-an", line) for line, region in enumerate(REGIONS, 1)]
        self.layer.owners |= {bucket.name: ACCOUNT for bucket in found}
        return found

    def _deploy(self, stack, region, parameters):
        client = self.admin("cloudformation", region)
        body = (ROOT / "publisher.yaml").read_text(encoding="utf-8")
        chosen = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        client.create_stack(StackName=stack, TemplateBody=body, Parameters=chosen, Capabilities=["CAPABILITY_IAM"])
        waiting = {"Delay": 0.1, "MaxAttempts": 100}
        client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=waiting)

    def _publisher(self, stack):
        """An access key with the permissions of the role that publisher.yaml creates.

        MiniStack has no identity provider of GitHub, so nobody can assume the role. A user gets the role's policy.
        """
        iam = self.admin("iam")
        role = self.admin("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId="Publisher")
        name = role["StackResourceDetail"]["PhysicalResourceId"]
        return self.user(stack, iam.get_role_policy(RoleName=name, PolicyName="publish")["PolicyDocument"])

    def empty(self, buckets):
        """Deletes everything in the buckets. The layer and its rules are bypassed, and root users obey no policy."""
        for bucket in buckets:
            s3 = self.admin("s3", bucket.region)
            found = s3.list_object_versions(Bucket=bucket.name)
            for version in found.get("Versions", []) + found.get("DeleteMarkers", []):
                s3.delete_object(Bucket=bucket.name, Key=version["Key"], VersionId=version["VersionId"])

    def strangers_bucket(self, region):
        """The name of a bucket of another account, which everyone can use."""
        self._number += 1
        name = f"stranger-{self._number}"
        s3 = self.admin("s3", region, STRANGER)
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        s3.delete_public_access_block(Bucket=name)
        arns = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
        everything = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": arns}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything]}))
        self.layer.owners[name] = STRANGER
        return name

    def checkout(self, buckets, version="0.1.0", code=b"the function"):
        """A folder with a list of buckets, and a release for these buckets in dist/."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        lines = (f"{bucket.region} {bucket.name}\n" for bucket in buckets)
        (folder / "list").write_text("".join(lines), encoding="utf-8")
        write_release(folder / "dist", buckets, version, code)
        return folder

    def environment(self, folder):
        """The complete environment of the command, without the caller's own AWS settings and proxies."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "tools"),
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": self.layer.url,
            "AWS_ACCESS_KEY_ID": self.key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.key["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGIONS[0],
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "*",
            "BUCKETS": "list",
        }

    def run(self, folder, **options):
        """Runs the command in a folder, as make publish does. Returns its exit code and what it printed."""
        out = io.StringIO()
        with (
            contextlib.chdir(folder),
            mock.patch.dict(os.environ, self.environment(folder) | options, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            code = main()
        return code, out.getvalue()

    def start(self, folder):
        """Starts the command in a process of its own, which can be killed."""
        command = [sys.executable, "-m", "publish"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=folder, env=self.environment(folder), **quiet)


_NO_PROXY = Config(proxies={}, retries={"total_max_attempts": 1})


def write_release(folder, buckets, version, code):
    """Writes a small release, in the form of a real one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rows = "".join(f'    {bucket.region}: {{Name: "{bucket.name}"}}\n' for bucket in buckets)
    files = {
        names.TEMPLATE: f'Mappings:\n  CodeBuckets:\n    sa-east-1: {{Name: ""}}\n{rows}'.encode(),
        names.PAGE: page.render(version, buckets).encode(),
        names.SBOM: b"{}",
        names.NOTES: f"Release {version}".encode(),
    }
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(names.BINARY), code)
    zipped = (folder / "zip").read_bytes()
    (folder / "zip").unlink()
    files[names.zip_name(version, hashlib.sha256(zipped).hexdigest())] = zipped
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in (files | {names.BINARY: code}).items()}
    (folder / names.SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), encoding="utf-8")
