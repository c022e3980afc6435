"""Runs MiniStack and the stand-in for Coiled on 127.0.0.1. Both log to files, so that they can outlive the demo."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "111122223333"
WORKSPACE = "demo"
# Contains a hyphen, as API tokens do. In the end, the demo searches all output and all logs for it.
TOKEN = "canary-of-the-demo"
# MiniStack gives the key `test` all permissions.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class Tools:
    """The paths of both programs."""

    ministack: Path
    stand_in: Path


class Servers:
    """Both servers. Their logs and process IDs are in a folder that `stop` deletes."""

    def __init__(self, folder, tools):
        self.folder = folder
        self._tools = tools
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(2)]
            self.aws_port, self.coiled_port = (server.getsockname()[1] for server in sockets)

    @property
    def aws_url(self):
        """The URL of MiniStack."""
        return f"http://{HOST}:{self.aws_port}"

    @property
    def coiled_url(self):
        """The URL of the stand-in."""
        return f"http://{HOST}:{self.coiled_port}"

    def start(self):
        """Starts both servers, and waits until they accept connections."""
        (self.folder / "home").mkdir(parents=True)
        self._spawn("ministack", [self._tools.ministack], self._ministack_env())
        coiled = ["--port", self.coiled_port, "--token", TOKEN, "--workspace", WORKSPACE, "--sts", self.aws_url]
        self._spawn("coiled", [self._tools.stand_in, *coiled], {"PATH": os.environ["PATH"]})
        self._wait("ministack", lambda: _get(f"{self.aws_url}/_ministack/health"))
        self._wait("coiled", lambda: socket.create_connection((HOST, self.coiled_port), 1).close())

    def environment(self):
        """The complete environment of a client, without the caller's own AWS settings and proxies."""
        home = str(self.folder / "home")
        return CREDENTIALS | {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "NO_COLOR": "1",
            "NO_PROXY": "*",
        }

    def log(self, name):
        """Everything that a server has printed so far."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def registration(self):
        """The workspace's registration as the stand-in last logged it, with *** for secrets; None if disconnected."""
        registration = None
        for line in self.log("coiled").splitlines():
            if " now holds " in line:
                registration = json.loads(line.split(" now holds ", 1)[1])
        return registration

    def _ministack_env(self):
        home = str(self.folder / "home")
        # The function inherits this environment. Without BIND_HOST, MiniStack would listen on all interfaces.
        return CREDENTIALS | {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "TMPDIR": home,
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.aws_port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "AWS_ENDPOINT_URL": self.aws_url,
            # MiniStack's ResponseURL is not an S3 URL.
            "RESPONSE_URL_HOSTS": f"localhost:{self.aws_port}",
            "PYTHONUNBUFFERED": "1",
        }

    def _spawn(self, name, argv, env):
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(word) for word in argv],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.folder / f"{name}.pid").write_text(f"{process.pid} {_begun(process.pid) or 0}")

    def pid(self, name):
        """The process ID of a server."""
        return int((self.folder / f"{name}.pid").read_text().split()[0])

    def _wait(self, name, probe, seconds=60):
        pid = self.pid(name)
        until = time.monotonic() + seconds
        while time.monotonic() < until and members(pid):
            with contextlib.suppress(OSError):
                probe()
                return
            time.sleep(0.05)
        sys.exit(f"{name} exited, or did not respond within {seconds} s. Its log ends with:\n{tail(self.log(name))}")


@contextlib.contextmanager
def exclusive(name):
    """The folder for the servers of `make NAME` in this checkout. Exits if that command is already running here.

    Checkouts may share .tools, so the folder is not in it.
    """
    folder = Path(".aws-sam", name).resolve()
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"make {name} is already running in this checkout. Wait until it has ended, or press Ctrl-C there.")
        yield folder


def stop(folder):
    """Stops the servers of a folder and all processes that they started, and deletes the folder."""
    for path in folder.glob("*.pid"):
        session, begun = (int(word) for word in path.read_text().split())
        # After a restart of the machine, another process may have the ID.
        if _begun(session) not in (None, begun):
            continue
        for number, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            for pid in members(session):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            until = time.monotonic() + seconds
            while members(session) and time.monotonic() < until:
                time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def tail(text, lines=25):
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-lines:])


def members(session):
    """The IDs of all running processes of a session, without zombies."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # Skips the process name, which may contain spaces and parentheses. Then: state, parent, group, session.
            state, _, _, process_session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(process_session) == session and state not in "ZX":
                found.append(int(path.name))
    return found


def _begun(pid):
    """When a process began, in clock ticks since the machine was started; None if there is no such process."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return None


def _get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=2) as response:
        return response.read()
