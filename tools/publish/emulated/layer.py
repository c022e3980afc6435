"""A layer in front of MiniStack, on 127.0.0.1, that rejects what AWS rejects and MiniStack does not.

MiniStack 1.5.33 is the closest emulation of S3 that was found, but:

- It ignores `x-amz-expected-bucket-owner`. AWS answers 403 if the bucket belongs to another account.
- It does not know the condition key `s3:if-none-match`. AWS answers 403 to an upload without If-None-Match if the
  bucket policy denies such uploads, as publisher.yaml does.

In addition, a test can let the layer interfere with uploads, as a network, S3 or another publisher would.
"""

import contextlib
import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from stack.local import Server

HOST = "127.0.0.1"
_DENIED = 403, "AccessDenied", "Access Denied"


class Layer(Server):
    """Passes requests on to MiniStack. `admin` is a client of the account that owns the publisher's buckets."""

    def __init__(self, port, admin):
        self._port = port
        self._admin = admin
        # By bucket. MiniStack has no call that tells the owner's account.
        self.owners = {}
        # What to do with an upload, by its key: a function that gets the Upload. It may return an answer.
        self.on_upload = {}
        # The uploads that S3 accepted or rejected, as (bucket, key).
        self.uploads = []
        super().__init__(_handler(self), _Quiet)

    def rejection(self, method, bucket, key, headers):
        """What AWS would answer instead of MiniStack: status, code and message. None if MiniStack is right."""
        expected = headers.get("x-amz-expected-bucket-owner")
        if expected and bucket in self.owners and self.owners[bucket] != expected:
            return _DENIED
        if method == "PUT" and key and "If-None-Match" not in headers and self._demands_condition(bucket, key):
            return _DENIED
        return None

    def _demands_condition(self, bucket, key):
        """Whether a statement of the bucket policy denies uploads to a key without If-None-Match."""
        with contextlib.suppress(self._admin.exceptions.ClientError):
            for statement in json.loads(self._admin.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]:
                prefix = f"arn:aws:s3:::{bucket}/{key}".startswith(str(statement["Resource"]).rstrip("*"))
                if statement["Effect"] == "Deny" and prefix and statement.get("Condition") == _WITHOUT_CONDITION:
                    return True
        return False

    def forward(self, method, path, headers, body):
        """MiniStack's answer."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=30)
        with contextlib.closing(connection):
            # The signature covers the header Host, so MiniStack must get the one that the client sent.
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            # publisher.yaml rejects connections without TLS. The one to this layer stands for a connection with TLS.
            if "X-Forwarded-Proto" not in headers:
                connection.putheader("X-Forwarded-Proto", "https")
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()


# In publisher.yaml. A condition in any other form is not recognized, so its test fails.
_WITHOUT_CONDITION = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Prints an error, unless the command was killed and has left its connections."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Upload:
    """An upload that is going on."""

    def __init__(self, handler):
        self._handler = handler
        self.length = int(handler.headers.get("Content-Length", 0))

    def receive_half(self):
        """Waits until half of the bytes have arrived, and drops them."""
        self._handler.rfile.read(self.length // 2)

    def store(self):
        """Lets S3 store the object, and returns its answer."""
        return self._handler.forwarded()


def answer(status, code, message="rejected by the layer"):
    """An answer of S3 with an error."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return status, [("Content-Type", "application/xml")], body


def _handler(layer):
    class Handler(BaseHTTPRequestHandler):
        """Responds to one request."""

        protocol_version = "HTTP/1.1"

        def _respond(self):
            bucket, _, key = urlsplit(self.path).path.lstrip("/").partition("/")
            rejection = layer.rejection(self.command, bucket, key, self.headers)
            interfere = layer.on_upload.get(key) if self.command == "PUT" and key else None
            if rejection:
                self._read()
                self._send(answer(*rejection))
            elif interfere:
                self._send(interfere(Upload(self)) or self.forwarded())
            else:
                self._send(self.forwarded())

        def forwarded(self):
            """Passes the request on, and notes an upload."""
            body = self._read()
            bucket, _, key = urlsplit(self.path).path.lstrip("/").partition("/")
            if self.command == "PUT" and key:
                layer.uploads.append((bucket, key))
            return layer.forward(self.command, self.path, self.headers, body)

        def _read(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionError("the command was killed")
            return body

        def _send(self, found):
            status, headers, body = found
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = next((v for n, v in headers if n.lower() == "content-length"), len(body))
            if not any(name.lower() == "x-amz-request-id" for name, _ in headers):
                # As in every response of S3.
                self.send_header("x-amz-request-id", "1")
            self.send_header("Content-Length", str(length if self.command == "HEAD" else len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _respond

        def log_message(self, *_):
            pass

    return Handler
