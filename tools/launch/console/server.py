"""Serves the stand-in for the console on 127.0.0.1, and calls CloudFormation in MiniStack for it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from samcli.yamlhelper import yaml_parse

from .addresses import Unusable, in_ministack, parse
from .form import form

_FOLDER = Path(__file__).parent
_FILES = {
    # The path of the real console, which a quick-create link opens.
    "/cloudformation/home": ("console.html", "text/html; charset=utf-8"),
    "/console.css": ("console.css", "text/css"),
    "/console.js": ("console.js", "text/javascript"),
}
_EVENT = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")


class Console:
    """What the console's page may ask for. `client` makes a boto3 client of a service in a region."""

    def __init__(self, client, aws_url):
        self._client = client
        self._aws_url = aws_url

    def template(self, region, template_url):
        """The form of a template, and the capabilities that it needs."""
        bucket, bucket_region, key = parse(template_url)
        body = self._client("s3", bucket_region).get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        # MiniStack's summary has no Metadata, where the groups and labels are.
        summary = self._cloudformation(region).get_template_summary(TemplateURL=self._place(template_url))
        return form(yaml_parse(body)) | {
            "capabilities": summary.get("Capabilities", []),
            "macros": summary.get("DeclaredTransforms", []),
        }

    def create(self, region, stack_name, template_url, parameters, capabilities):
        """Creates a stack, as the button Create stack does."""
        return self._cloudformation(region).create_stack(
            StackName=stack_name,
            TemplateURL=self._place(template_url),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=capabilities,
        )["StackId"]

    def stack(self, region, stack_id):
        """The status, events and outputs of a stack. A deleted stack is found by its ID only."""
        client = self._cloudformation(region)
        stack = client.describe_stacks(StackName=stack_id)["Stacks"][0]
        events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
        return {
            "name": stack["StackName"],
            "status": stack["StackStatus"],
            "outputs": [[each["OutputKey"], each["OutputValue"]] for each in stack.get("Outputs", [])],
            "events": [[each.get(key, "") for key in _EVENT] for each in events],
        }

    def delete(self, region, stack_id):
        """Deletes a stack."""
        self._cloudformation(region).delete_stack(StackName=stack_id)

    def _cloudformation(self, region):
        return self._client("cloudformation", region)

    def _place(self, template_url):
        return in_ministack(template_url, self._aws_url)


class Server:
    """Serves a console, in a thread that ends with the program."""

    def __init__(self, console):
        handler = type("Handler", (_Handler,), {"console": console})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    console = None

    def do_GET(self):
        path = urlsplit(self.path).path
        if path not in _FILES:
            self._send(404, b"")
            return
        name, kind = _FILES[path]
        self._send(200, (_FOLDER / name).read_bytes(), kind)

    def do_POST(self):
        """Calls the method of Console that the path names. The arguments are the JSON in the body."""
        calls = {f"/api/{name}": getattr(self.console, name) for name in ("template", "create", "stack", "delete")}
        arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, answer = 200, calls[urlsplit(self.path).path](**arguments)
        except ClientError as error:
            status, answer = 400, error.response["Error"]["Message"]
        except Unusable as error:
            status, answer = 400, str(error)
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # The base class writes each request to standard error.
    def log_message(self, *_):
        pass
