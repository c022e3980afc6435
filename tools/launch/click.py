"""Launches the stack as a stranger would: opens the published launch page in a browser, clicks, and pastes a token.

The release is published in MiniStack's S3. From then on, only what dist/ contains is used: no SAM CLI, no checkout and
no Rust. The console is a stand-in.
"""

import base64
import json
from urllib.parse import urlsplit

from demo.account import Account
from demo.report import Report
from demo.servers import TOKEN, WORKSPACE, Servers, exclusive, stop, tail
from publish.emulated.layer import Layer
from release.regions import regions

from .console.form import form
from .console.server import Console, Server
from .links import STACK
from .published import Published
from .visitor import Visitor


def run(dist, tools, node):
    """Launches the stack from a release, and deletes it. Returns whether all checks passed."""
    with exclusive("launch-demo") as folder:
        # An earlier run may have been killed.
        stop(folder)
        return _launch(dist, Servers(folder, tools), node)


def _launch(dist, servers, node):
    report = Report()
    account = Account(servers.aws_url)
    published = Published(dist, account.client)
    try:
        with report.step("start", "Start MiniStack and a stand-in for Coiled on 127.0.0.1"):
            servers.start()
        # In front of MiniStack's S3. It refuses what AWS refuses, and stands for TLS, which the buckets demand.
        with Layer(servers.aws_port, account.client("s3")) as s3:
            Click(dist, published, s3.url, servers, report, node).run()
        report.table()
        if not report.all_passed:
            report.show(f"\nThe last lines of MiniStack's log:\n{tail(servers.log('ministack'), 60)}")
    finally:
        stop(servers.folder)
    return report.all_passed


class Click:
    """One launch, from the publication of a release to the deletion of the stack. A step's docstring is printed."""

    def __init__(self, dist, published, s3_url, servers, report, node):
        self._dist = dist
        self._published = published
        self._s3_url = s3_url
        self._servers = servers
        self._report = report
        self._region = published.bucket.region
        self._account = Account(servers.aws_url, self._region)
        console = Server(Console(self._account.client, servers.aws_url))
        self._visitor = Visitor(node, published, s3_url, console.url)
        self._before = None
        self._stack_id = ""

    def run(self):
        """Runs the steps. The others need a published release and a stack."""
        for step in (self.publish, self.overlay, self.launch, self.inspect, self.delete, self.leftovers):
            with self._report.step(step.__name__, step.__doc__.rstrip(".")):
                step()
            if step in (self.publish, self.launch) and not self._report.all_passed:
                break

    def publish(self):
        """Create a bucket per region with publisher.yaml, and run make publish."""
        self._published.create_buckets()
        passed, printed = self._published.publish(self._servers.environment() | {"AWS_ENDPOINT_URL": self._s3_url})
        self._report.show(printed)
        self._report.check("the release is published", passed)
        closed = self._published.closed(self._s3_url)
        self._report.check("everyone can read the page and the template in every region", not closed, closed)
        self._before = self._account.everything()

    def overlay(self):
        """Replace the policy statements that MiniStack cannot evaluate, in its copy of the template."""
        self._report.show(self._published.overlay())

    def launch(self):
        """Open the launch page, click on a region, paste the token and create the stack."""
        seen = self._visitor.launch(TOKEN, self._servers.coiled_url)
        self._report.show(seen.story)
        self._stack_id = seen.stack_id
        is_ours = (seen.template_url, seen.name) == (self._published.template_url, STACK)
        hosts = {urlsplit(address).netloc for address in seen.addresses}
        check = self._report.check
        check("the link opens a form with the template from the region's own bucket", is_ours, seen.template_url)
        check("the form shows the template's groups and labels", seen.groups == self._groups(), seen.groups)
        check("the form asks for consent to IAM resources only", seen.consents == ["CAPABILITY_IAM"], seen.consents)
        check("the browser asked only the bucket and the console", hosts == self._hosts(), hosts)
        check("no address contains the token", hosts and TOKEN not in json.dumps(seen.addresses))
        check("the stack is created", seen.status == "CREATE_COMPLETE", self._why(seen))
        check("the outputs name the next step", "coiled run" in seen.outputs.get("NextStep", ""), seen.outputs)

    def inspect(self):
        """Inspect the stack and the registration at Coiled."""
        user, check = self._account.user(), self._report.check
        options = (self._servers.registration() or {}).get("options", {})
        credentials = options.get("credentials", {})
        self._report.show(f"Coiled    {WORKSPACE}: {json.dumps(credentials)}")
        check(f"the stack is in {self._region}", f":{self._region}:" in self._stack_id, self._stack_id)
        check("the user exists, with both policies", user and len(user["attached"]) == 2, user)
        registered = user and list(user["keys"]) == [credentials.get("aws_access_key")]
        # The stand-in tries each registered key with STS, and logs a VIOLATION if it does not work.
        check("its key is registered with Coiled and works", registered and self._no_violation(), options)
        check(f"Coiled starts clusters in {self._region}", options.get("aws_region_name") == self._region, options)
        deployed = self._deployed()
        check("the function runs the published zip", deployed == self._digest_of_zip(), deployed)

    def delete(self):
        """Delete the stack in the console."""
        seen = self._visitor.delete(self._stack_id)
        self._report.show(seen.story)
        self._report.check("the stack is deleted", seen.status == "DELETE_COMPLETE", self._why(seen))

    def leftovers(self):
        """Look for leftovers in the account and at Coiled."""
        check, left = self._report.check, self._account.everything()
        check("the account is as it was before the stack", left == self._before, left)
        check("Coiled has no registration", self._servers.registration() is None, self._servers.registration())
        check("Coiled received only valid requests", self._no_violation(), tail(self._servers.log("coiled")))
        logs = [self._servers.log(name) for name in ("ministack", "coiled")]
        printed = [*self._report.printed, *self._visitor.printed, *logs]
        check("no output or log contains the token", not any(TOKEN in text for text in printed), "search the logs")

    def _groups(self):
        """Each group of the published template, followed by its labels."""
        found = form(self._published.template)["groups"]
        return [[group["label"], *(field["label"] for field in group["fields"])] for group in found]

    def _hosts(self):
        return {urlsplit(self._published.page_url).netloc, regions()[self._region].console}

    def _no_violation(self):
        return "VIOLATION" not in self._servers.log("coiled")

    def _deployed(self):
        """The digest of the function's code, as AWS shows it."""
        resource = self._account.client("cloudformation").describe_stack_resource(
            StackName=self._stack_id, LogicalResourceId="Function"
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        return self._account.client("lambda").get_function(FunctionName=name)["Configuration"]["CodeSha256"]

    def _digest_of_zip(self):
        return base64.b64encode(bytes.fromhex(self._dist.digests[self._dist.zip])).decode()

    def _why(self, seen):
        return f"{seen}\n{tail(self._servers.log('ministack'))}"
