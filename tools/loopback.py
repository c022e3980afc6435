"""Runs the function and its servers on 127.0.0.1, for `make rie` and `make bench`. Uses only the standard library.

The function receives only PATH from the caller's environment: no AWS credentials, profiles or proxies.
"""

import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
REGION = "us-east-1"
# moto's default account. The ARNs in events/ contain it.
ACCOUNT = "123456789012"
# Contains a hyphen, as API tokens do.
TOKEN = "stand-in-token"
WORKSPACE = "demo"
INVOKE = "/2015-03-31/functions/function/invocations"
TIMEOUT_SECONDS = 300
ROOT = Path(__file__).resolve().parent.parent
# Starts the same moto as in the tests.
MOTO = ROOT / "world" / "emulator.py"


@dataclass(frozen=True)
class Ports:
    """The port of each server."""

    emulator: int
    runtime_api: int
    coiled: int
    moto: int
    bucket: int

    @classmethod
    def fixed(cls):
        """The ports in events/*.json."""
        return cls(emulator=9100, runtime_api=9101, coiled=9102, moto=9103, bucket=9104)

    @classmethod
    def free(cls):
        """Five ports that are free now."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(5)]
            return cls(*(server.getsockname()[1] for server in sockets))

    def check(self):
        """Exits with an error that names the port if one is in use."""
        for name, port in vars(self).items():
            try:
                socket.create_server((HOST, port)).close()
            except OSError as error:
                sys.exit(f"cannot listen on port {port} ({name}): {error.strerror}; stop the process that uses it")


class Child:
    """A process in its own session. The session contains everything that the process starts, so `stop` finds it."""

    def __init__(self, argv, env, show):
        self.lines = []
        self.process = subprocess.Popen(
            [str(arg) for arg in argv],
            env=env,
            # moto stops when this pipe is closed. The other processes do not read it.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(show,), daemon=True)
        self._reader.start()

    def _read(self, show):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            show(line)

    def members(self):
        """The IDs of the session's running processes. The function is in the session, but not in its process group."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if _session(pid) == self.process.pid]

    def stop(self):
        """Sends SIGTERM and, after 2 s, SIGKILL to all processes of the session, and waits until they have ended."""
        for number, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
            for pid in self.members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                self.process.poll()
                if not self.members():
                    self._reader.join(1)
                    return
                time.sleep(0.02)


def _session(pid):
    """The session ID of a running process; None if the process has ended or is a zombie."""
    try:
        # Skips the process name, which may contain spaces and parentheses. Then: state, parent, group, session.
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return None if state in "ZX" else int(session)


class World:
    """Runs moto, the stand-in, the response bucket and the function on the emulator, and stops all of them on exit."""

    def __init__(self, options, ports, show, on_response):
        self.options = options
        self.ports = ports
        self._show = show
        self._on_response = on_response
        self._stack = contextlib.ExitStack()
        self._children = []

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(1))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not interrupt the cleanup.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._stack.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _start(self):
        self.ports.check()
        bucket = http.server.ThreadingHTTPServer((HOST, self.ports.bucket), _bucket(self._on_response))
        self._stack.callback(bucket.server_close)
        threading.Thread(target=bucket.serve_forever, daemon=True).start()
        self._stack.callback(bucket.shutdown)
        moto = self._child("moto", [sys.executable, MOTO, self.ports.moto])
        coiled = self._child(
            "coiled",
            [self.options.stand_in, "--port", self.ports.coiled, "--token", TOKEN, "--workspace", WORKSPACE]
            + ["--sts", f"http://{HOST}:{self.ports.moto}"],
        )
        wait_for(self.ports.moto, moto)
        wait_for(self.ports.coiled, coiled)
        self.coiled = coiled
        self._fill_account()

    def _child(self, name, argv, env=None):
        env = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"} if env is None else env
        child = Child(argv, env, lambda line: self._show(name, line))
        self._children.append(child)
        self._stack.callback(child.stop)
        return child

    def _fill_account(self):
        # moto ends a secret's ARN with random characters, but also accepts an ARN that ends with the secret's name. So
        # each name here includes the last six characters of its ARN in events/.
        for name, value in (("coiled-token-Xk3bTq", TOKEN), ("docker-hub-token-Wm7pRd", "docker-hub-access-token")):
            body = json.dumps({"Name": name, "SecretString": value, "ClientRequestToken": "0" * 32})
            self.aws("secretsmanager", body, "secretsmanager.CreateSecret")
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        policy = {"PolicyName": "coiled-boundary", "PolicyDocument": json.dumps(document)}
        self.aws("iam", urllib.parse.urlencode({"Action": "CreatePolicy", "Version": "2010-05-08"} | policy))

    def aws(self, service, body, target=None):
        """One call to moto, which takes service and region from the signature but does not verify it."""
        scope = f"test/20260101/{REGION}/{service}/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/x-amz-json-1.1" if target else "application/x-www-form-urlencoded",
        }
        if target:
            headers["X-Amz-Target"] = target
        status, text = post(self.ports.moto, "/", body, headers)
        if status != 200:
            sys.exit(f"moto's {service} responded with {status}: {text}")
        return text

    def reset(self):
        """Resets the account to the secrets and the boundary policy, and disconnects the workspace."""
        post(self.ports.moto, "/moto-api/reset", "")
        self._fill_account()
        self.coiled_api("DELETE", f"/api/v2/cloud-credentials/{WORKSPACE}/aws")

    def coiled_api(self, method, path):
        """One call to the stand-in for Coiled. Returns the status and the body."""
        headers = {"Authorization": f"ApiToken {TOKEN}", "Client-Version": "bench", "User-Agent": "bench"}
        return request(method, self.ports.coiled, path, "", headers)

    def function(self, command=None, moto=None, more=()):
        """Starts an emulator for the function or another command. The emulator starts it when the first event arrives."""
        env = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": f"http://{HOST}:{moto or self.ports.moto}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_LAMBDA_FUNCTION_NAME": "coiled",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(TIMEOUT_SECONDS),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "RESPONSE_URL_HOSTS": f"{HOST}:{self.ports.bucket}",
            **dict(more),
        }
        argv = [
            Path(self.options.rie).resolve(),
            "--runtime-interface-emulator-address",
            f"{HOST}:{self.ports.emulator}",
            "--runtime-api-address",
            f"{HOST}:{self.ports.runtime_api}",
            *(command or [Path(self.options.bootstrap).resolve()]),
        ]
        child = self._child("function", argv, env)
        wait_for(self.ports.emulator, child)
        return child

    def watch(self):
        """Waits forever, and exits with an error if a child process ends."""
        while all(child.process.poll() is None for child in self._children):
            time.sleep(0.5)
        ended = next(child for child in self._children if child.process.poll() is not None)
        sys.exit(f"{ended.process.args[0]} ended unexpectedly. Its output ends with:\n" + "\n".join(ended.lines[-20:]))

    def invoke(self, event):
        """Sends an event, and returns after the function has processed it."""
        return post(self.ports.emulator, INVOKE, json.dumps(event))


def _bucket(on_response):
    class Bucket(http.server.BaseHTTPRequestHandler):
        """Accepts a PUT to a pre-signed URL, like S3."""

        def do_PUT(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            on_response(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Bucket


def wait_for(port, child, seconds=60):
    """Waits until a child process accepts connections on a port."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if child.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), 1).close()
            return
        time.sleep(0.005)
    last = "\n".join(child.lines[-20:])
    sys.exit(f"{child.process.args[0]} does not listen on port {port}. Its output ends with:\n{last}")


def post(port, path, body, headers=None):
    return request("POST", port, path, body, headers or {"Content-Type": "application/json"})


def request(method, port, path, body, headers):
    """One HTTP request to 127.0.0.1, without a proxy. Returns the status and the body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS + 10)
    with contextlib.closing(connection):
        connection.request(method, path, body.encode(), headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")


def options(parser):
    """Adds the options that `make rie` and `make bench` share."""
    for name in ("bootstrap", "stand-in", "rie"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    return parser
