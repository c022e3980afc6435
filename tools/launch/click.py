"""Launches the stack as a stranger would: opens the published launch page in a browser, clicks, and pastes a token.

The release is published in MiniStack's S3. What a stranger uses from then on is only what dist/ contains: no SAM CLI, no
checkout and no Rust. The console is a stand-in.
"""

import base64
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from samcli.yamlhelper import yaml_parse

from demo.account import Account
from demo.overlay import overlaid
from demo.report import Report
from demo.servers import TOKEN, WORKSPACE, Servers, stop, tail
from release import names
from release.buckets import Bucket
from release.regions import regions
from stack.problem import Problem

from .console.form import form
from .console.server import Console, Server
from .links import STACK

FOLDER = Path(".tools/launch").resolve()
_BROWSER = Path(__file__).parent / "browser"
# MiniStack's own region. A stack there would not show that a region needs its own bucket.
_MINISTACKS_REGION = "us-east-1"


def run(dist, tools, node):
    """Launches the stack from a release, and deletes it. Returns whether all checks passed."""
    stop(FOLDER)
    buckets = _buckets(dist)
    report, servers = Report(), Servers(FOLDER, tools)
    try:
        with report.step("start", "Start MiniStack and a stand-in for Coiled on 127.0.0.1"):
            servers.start()
        Click(dist, buckets, servers, report, node).run()
        report.table()
        if not report.all_passed:
            report.show(f"\nThe last lines of MiniStack's log:\n{tail(servers.log('ministack'), 60)}")
    finally:
        stop(FOLDER)
    return report.all_passed


def _buckets(dist):
    """The buckets of a release, as its template knows them."""
    rows = yaml_parse(dist.path(names.TEMPLATE).read_text(encoding="utf-8"))["Mappings"]["CodeBuckets"]
    found = [Bucket(region, row["Name"], 0) for region, row in rows.items() if row["Name"]]
    if not any(bucket.region != _MINISTACKS_REGION for bucket in found):
        raise Problem(
            f"The release in {dist.folder} has no bucket outside {_MINISTACKS_REGION}, so there is nothing to click on.",
            "Run: make release BUCKETS=tools/launch/buckets.txt",
        )
    return found


class Click:
    """One launch, from the publication of a release to the deletion of the stack."""

    def __init__(self, dist, buckets, servers, report, node):
        self._dist = dist
        self._buckets = buckets
        self._servers = servers
        self._report = report
        self._node = node
        self._bucket = next(bucket for bucket in buckets if bucket.region != _MINISTACKS_REGION)
        self._account = Account(servers.aws_url, self._bucket.region)
        self._console = Server(Console(self._account.client, servers.aws_url))
        self._before = self._account.everything()
        self._stack_id = ""
        self._printed = []

    def run(self):
        """Runs the steps until a check fails, because each step needs the one before."""
        for step in (self.publish, self.overlay, self.launch, self.inspect, self.delete, self.leftovers):
            with self._report.step(step.__name__, step.__doc__.rstrip(".")):
                step()
            if not self._report.all_passed and step != self.delete:
                break
        self._console.stop()

    def publish(self):
        """Publish the release to one bucket per region."""
        for bucket in self._buckets:
            self._publish(bucket)
        names_of_all = ", ".join(f"{bucket.name} ({bucket.region})" for bucket in self._buckets)
        self._report.check(f"each region has the release in its own bucket: {names_of_all}", True)

    def overlay(self):
        """Replace the policy statements that MiniStack cannot evaluate, in its copy of the template."""
        text = self._dist.path(names.TEMPLATE).read_text(encoding="utf-8")
        changed, difference = overlaid(text, names.TEMPLATE)
        self._report.show(difference)
        self._put(self._bucket, names.key(self._dist.version, names.TEMPLATE), changed.encode())

    def launch(self):
        """Open the launch page, choose a region, paste the token and create the stack."""
        found = self._browse("launch", token=TOKEN, coiled=self._servers.coiled_url)
        check = self._report.check
        self._stack_id = found.get("stack", "")
        check("the link opens a form with this release's template, from the region's own bucket", self._is_form(found), found)
        check("the form shows the template's parameters, by group and label", found.get("groups") == self._groups(), found)
        check("the form asks for one consent, to IAM resources", found.get("consents") == ["CAPABILITY_IAM"], found)
        check("the stack is created", found.get("status") == "CREATE_COMPLETE", self._why(found))
        check("the outputs name the next step", "coiled run" in found.get("outputs", {}).get("NextStep", ""), found)
        check("the browser asked only the bucket and the console", self._hosts(found) == self._expected_hosts(), found)
        check("no address contains the token", found and TOKEN not in json.dumps(found["addresses"]))

    def inspect(self):
        """Inspect the stack and the registration at Coiled."""
        region, check = self._bucket.region, self._report.check
        user, registration = self._account.user(), self._servers.registration() or {}
        options = registration.get("options", {})
        check(f"the stack is in {region}", f":cloudformation:{region}:" in self._stack_id, self._stack_id)
        check("the user exists, with both policies", user and len(user["attached"]) == 2, user)
        key = options.get("credentials", {}).get("aws_access_key")
        check("its key is registered with Coiled and works", user and [key] == list(user["keys"]), options)
        check(f"Coiled starts clusters in {region}", options.get("aws_region_name") == region, options)
        self._report.show(f"Coiled    {WORKSPACE}: {json.dumps(options.get('credentials'))}")
        code = self._account.client("lambda").get_function(FunctionName=self._function())["Configuration"]["CodeSha256"]
        check("the function runs the published zip", code == self._digest_of_zip(), code)

    def delete(self):
        """Delete the stack in the console."""
        found = self._browse("delete", stack=self._stack_id)
        self._report.check("the stack is deleted", found.get("status") == "DELETE_COMPLETE", self._why(found))

    def leftovers(self):
        """Look for leftovers in the account and at Coiled."""
        check, left = self._report.check, self._account.everything()
        check("the account is as it was before the stack", left == self._before, left)
        check("Coiled has no registration", self._servers.registration() is None, self._servers.registration())
        log = self._servers.log("coiled")
        check("Coiled received only valid requests", "VIOLATION" not in log, tail(log))
        printed = [*self._report.printed, *self._printed, self._servers.log("ministack"), log]
        check("no output or log contains the token", not any(TOKEN in text for text in printed))

    def _publish(self, bucket):
        client = self._account.client("s3", bucket.region)
        location = {} if bucket.region == _MINISTACKS_REGION else {"LocationConstraint": bucket.region}
        client.create_bucket(Bucket=bucket.name, **({"CreateBucketConfiguration": location} if location else {}))
        # Everyone may read, because the browser has no AWS credentials.
        client.put_public_access_block(Bucket=bucket.name, PublicAccessBlockConfiguration={"BlockPublicPolicy": False})
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": [f"arn:aws:s3:::{bucket.name}/{prefix}/*" for prefix in ("releases", "latest")],
        }
        client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        for name in self._dist.names():
            self._put(bucket, names.key(self._dist.version, name), self._dist.path(name).read_bytes())
        self._put(bucket, names.latest_key(names.PAGE), self._dist.path(names.PAGE).read_bytes())

    def _put(self, bucket, key, body):
        kind = {"ContentType": "text/html; charset=utf-8"} if key.endswith(".html") else {}
        self._account.client("s3", bucket.region).put_object(Bucket=bucket.name, Key=key, Body=body, **kind)

    def _browse(self, action, **more):
        """Runs a part of click.mjs. Returns what it found."""
        task = more | {
            "action": action,
            "page": names.url(self._bucket, names.latest_key(names.PAGE)),
            "region": self._bucket.region,
            "title": regions()[self._bucket.region].title,
            "console": regions()[self._bucket.region].console,
            "s3": self._servers.aws_url,
            "stand_in": self._console.url,
        }
        done = subprocess.run(
            [self._node, _BROWSER / "click.mjs"],
            # The task contains the token. A command line can be read by every user of the machine.
            input=json.dumps(task),
            env={name: os.environ[name] for name in ("PATH", "HOME", "SCREENSHOTS") if name in os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=180,
            check=False,
        )
        self._printed += [done.stdout, done.stderr]
        self._report.show(done.stderr)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def _is_form(self, found):
        return found.get("template") == self._template_url() and found.get("name") == STACK

    def _hosts(self, found):
        return {urlsplit(address).netloc for address in found.get("addresses", [])}

    def _expected_hosts(self):
        return {urlsplit(self._template_url()).netloc, regions()[self._bucket.region].console}

    def _groups(self):
        """Each group of the published template, followed by its labels, as the form shows them."""
        template = yaml_parse(self._dist.path(names.TEMPLATE).read_text(encoding="utf-8"))
        return [[group["label"], *(field["label"] for field in group["fields"])] for group in form(template)["groups"]]

    def _template_url(self):
        return names.url(self._bucket, names.key(self._dist.version, names.TEMPLATE))

    def _function(self):
        resources = self._account.client("cloudformation").describe_stack_resources(StackName=self._stack_id)
        return next(
            each["PhysicalResourceId"] for each in resources["StackResources"] if each["LogicalResourceId"] == "Function"
        )

    def _digest_of_zip(self):
        return base64.b64encode(bytes.fromhex(self._dist.digests[self._dist.zip])).decode()

    def _why(self, found):
        events = "\n".join(" ".join(event) for event in found.get("events", []))
        return f"{found.get('problem') or found.get('status')}\n{events}\n{tail(self._servers.log('ministack'))}"
