"""MiniStack and the stand-in for Coiled on 127.0.0.1; what they print goes to files, so that they may outlive the demo."""

import contextlib
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
# With a hyphen, as Coiled's tokens have it now. The demo looks for it in everything that was printed.
TOKEN = "canary-of-the-demo"
# `test` is MiniStack's administrator.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class Tools:
    """Where the programs are."""

    ministack: Path
    stand_in: Path


class Servers:
    """Both of them, in a folder that is removed when they are stopped."""

    def __init__(self, folder, tools):
        self.folder = folder
        self._tools = tools
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(2)]
            self.aws_port, self.coiled_port = (server.getsockname()[1] for server in sockets)

    @property
    def aws_url(self):
        """MiniStack."""
        return f"http://{HOST}:{self.aws_port}"

    @property
    def coiled_url(self):
        """The stand-in."""
        return f"http://{HOST}:{self.coiled_port}"

    def start(self):
        """Starts both, and waits until they listen."""
        (self.folder / "home").mkdir(parents=True)
        self._spawn("ministack", [self._tools.ministack], self._ministack_env())
        coiled = ["--port", self.coiled_port, "--token", TOKEN, "--workspace", WORKSPACE, "--sts", self.aws_url]
        self._spawn("coiled", [self._tools.stand_in, *coiled], {"PATH": os.environ["PATH"]})
        self._wait("ministack", lambda: _get(f"{self.aws_url}/_ministack/health"))
        self._wait("coiled", lambda: socket.create_connection((HOST, self.coiled_port), 1).close())

    def environment(self):
        """All that a client may know: nothing of the caller's own AWS settings or proxies."""
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
        """What a server has printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def held(self):
        """What Coiled holds for the workspace, as the stand-in last said; secrets are *** there. None without."""
        held = None
        for line in self.log("coiled").splitlines():
            if " now holds " in line:
                held = json.loads(line.split(" now holds ", 1)[1])
        return held

    def _ministack_env(self):
        home = str(self.folder / "home")
        # Its own environment is the function's too. BIND_HOST: it would listen on every interface.
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
        (self.folder / f"{name}.pid").write_text(str(process.pid))

    def _wait(self, name, probe, seconds=60):
        pid = int((self.folder / f"{name}.pid").read_text())
        until = time.monotonic() + seconds
        while time.monotonic() < until and _members(pid):
            with contextlib.suppress(OSError):
                probe()
                return
            time.sleep(0.05)
        sys.exit(f"{name} does not answer:\n{tail(self.log(name))}")


def stop(folder):
    """Ends whatever was started in a folder, with all that it started itself, and removes the folder."""
    for path in folder.glob("*.pid"):
        session = int(path.read_text())
        for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            for pid in _members(session):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            until = time.monotonic() + patience
            while _members(session) and time.monotonic() < until:
                time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def tail(text, lines=25):
    """The end of a log."""
    return "\n".join(text.splitlines()[-lines:])


def _members(session):
    """The live processes of a session; those that only wait to be reaped are none."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # Behind the name, which may hold anything: state, parent, group, session.
            state, _, _, of = (path / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state not in "ZX":
                found.append(int(path.name))
    return found


def _get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=2) as answer:
        return answer.read()
