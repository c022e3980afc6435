"""For tests: AWS and Coiled on 127.0.0.1, with responses that each test chooses."""

import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNT = "111122223333"
TOKEN = "canary-of-the-tests"


class Server:
    """An HTTP server on a free port of 127.0.0.1, for the time of a `with` statement."""

    def __init__(self, handler, server=ThreadingHTTPServer):
        self._server = server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Local(Server):
    """A server for all services. `answers` has a status and a body by AWS region and action, or by path."""

    def __init__(self, answers=()):
        self.answers = {
            ("", "GetCallerIdentity"): ok("GetCallerIdentity", f"<Account>{ACCOUNT}</Account>"),
            ("", "ListAccountAliases"): ok("ListAccountAliases", "<AccountAliases/>"),
            ("", "DescribeStacks"): error("ValidationError", "Stack with id coiled does not exist"),
        } | dict(answers)
        self.requests = []
        super().__init__(_handler(self))

    def encrypt(self, context, host):
        """Lets the server speak TLS, with a certificate for `host`."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{host}:{self._server.server_port}"

    def answer(self, region, what):
        """The answer for a region, or else for all regions. A list has one answer for each request."""
        found = self.answers.get((region, what), self.answers.get(("", what), error("InvalidAction", what)))
        return found.pop(0) if isinstance(found, list) else found


class Raw(bytes):
    """The bytes of a whole response, or of a part of it. Then the server closes the connection."""


CLOSED = Raw()
_PAGE = b"<!DOCTYPE html><html><head><meta charset=utf-8><title>Sign in</title><body>Sign in<br>to go on</html>"


def _head(status, length, header):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{header}\r\n\r\n".encode()


def ok(action, result):
    """A successful response of an AWS service."""
    return 200, f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"


def page(status):
    """A proxy's page in place of AWS's response. Browsers accept it, XML parsers do not."""
    return Raw(_head(status, len(_PAGE), "Content-Type: text/html") + _PAGE)


def half(action):
    """A successful response of AWS that breaks off."""
    body = ok(action, "")[1].encode()
    return Raw(_head(200, len(body), "x-amzn-RequestId: 1") + body[: len(body) // 2])


def error(code, message):
    """A response with an AWS error."""
    return 400, f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"


def stack(status, more=""):
    """A response of DescribeStacks."""
    arn = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/coiled/1"
    fields = f"<StackName>coiled</StackName><StackId>{arn}</StackId><StackStatus>{status}</StackStatus>"
    time = "<CreationTime>2026-01-01T00:00:00Z</CreationTime>"
    return ok("DescribeStacks", f"<Stacks><member>{fields}{time}{more}</member></Stacks>")


def template(kind):
    """A response of GetTemplate, with one resource."""
    return ok("GetTemplate", f'<TemplateBody>{{"Resources": {{"A": {{"Type": "{kind}"}}}}}}</TemplateBody>')


def _handler(local):
    class Handler(BaseHTTPRequestHandler):
        """Responds to one request."""

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            # Services with JSON name the action in a header.
            action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            action = action or dict(urllib.parse.parse_qsl(body)).get("Action", "")
            scope = re.search(r"Credential=[^/]+/\d+/([a-z0-9-]+)/", self.headers.get("Authorization", ""))
            self._respond(scope[1] if scope else "", action)

        def do_GET(self):
            self._respond("", self.path)

        def do_HEAD(self):
            self._respond("", f"HEAD {self.path}")

        def do_PUT(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._respond("", f"PUT {self.path}")

        def do_DELETE(self):
            self._respond("", f"DELETE {self.path}")

        def _respond(self, region, what):
            local.requests.append((region, what, self.headers.get("Authorization")))
            answer = local.answer(region, what)
            if isinstance(answer, Raw):
                self.wfile.write(answer)
                return
            status, body, *location = answer
            self.send_response(status)
            # As in every response of AWS.
            self.send_header("x-amzn-RequestId", "1")
            if location:
                self.send_header("Location", location[0])
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    return Handler
