"""Runs and measures the contenders on an empty account: the function, `coiled setup aws` and a crhelper function."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from loopback import HOST, INVOKE, REGION, ROOT, TOKEN, WORKSPACE, Ports, World, post

from bench.road import SlowNetwork

USER = "coiled"
# The emulator logs this line when the function asks for its first event. Init Duration in its REPORT line is shorter,
# because it leaves out the start of the process.
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
CLI = ["setup", "aws", "--use-access-key", "--yes", "--accept-delete", "--workspace", WORKSPACE, "--iam-user", USER]


@dataclass
class Run:
    """The measurements of one run of one contender."""

    seconds: float
    init_ms: float = 0.0
    peak_mb: float = 0.0
    requests: list = field(default_factory=list)
    chain: list = field(default_factory=list)

    def requests_to(self, server):
        """The requests to a server. A WebSocket counts as one, no matter how many messages it carries."""
        return [request for request in self.requests if request.server == server and not request.is_message]

    def proofs(self):
        """The number of STS calls after CreateAccessKey. Each proves that the new key works."""
        return len(self._sts_calls())

    def settle_seconds(self):
        """The time from the response to the first proof until the message that registers the key."""
        return self._registration().began - self._sts_calls()[0].ended

    def sequential_trips(self):
        """The chain without the round trips that begin and end during the settle time, because these add no time."""
        works, registered = self._sts_calls()[0].ended, self._registration().began
        return [request for request in self.chain if request.began < works or request.ended > registered]

    def cli_settle_seconds(self):
        """The command's own pause: it tries the key, waits, and tries it again before it registers it."""
        first, *_, last = self._sts_calls()
        return last.began - first.ended

    def shortest_ms(self):
        """The shortest time between a request and its response."""
        return min(request.ended - request.began for request in self.requests) * 1000

    def _sts_calls(self):
        names = [request.name for request in self.requests]
        after = self.requests[names.index("CreateAccessKey") :]
        return [request for request in after if request.name == "GetCallerIdentity"]

    def _registration(self):
        return next(request for request in self.requests if request.is_message)


class Harness:
    """Runs the contenders behind the slow network, each with an empty account and an unconnected workspace."""

    def __init__(self, options):
        self.options = options
        self._responses = []
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        on_response = lambda body: self._responses.append((time.monotonic(), json.loads(body)))
        self.world = self._stack.enter_context(World(self.options, Ports.free(), lambda *_: None, on_response))
        self.network = self._stack.enter_context(contextlib.closing(SlowNetwork(HOST)))
        ports = self.world.ports
        self.aws = self.network.port_for("AWS", ports.moto)
        self.coiled = self.network.port_for("Coiled", ports.coiled)
        self.bucket = self.network.port_for("bucket", ports.bucket)
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def function(self):
        """A cold Create: the event starts the process, and the response in the bucket ends the measurement."""
        run = self._invoke(None)
        self._check_connection("the function")
        return run

    def crhelper(self):
        """A cold Create of handler.py, run by AWS's runtime client for Python."""
        return self._invoke(
            [self.options.python, "-m", "awslambdaric", "handler.handler"], {"PYTHONPATH": str(Path(__file__).parent)}
        )

    def cli(self):
        """The whole command, because a person waits for all of it."""
        self._reset()
        began = time.monotonic()
        ended = self._coiled([*CLI, "--region", self._event()["ResourceProperties"]["Region"]])
        seconds = time.monotonic() - began
        # The exit status is 0 even if the command fails.
        if ended.returncode or "Setup complete" not in ended.stdout:
            sys.exit(f"`coiled setup aws` failed:\n{ended.stdout}")
        self._check_connection("`coiled setup aws`")
        return Run(seconds, requests=self.network.requests, chain=self.network.round_trips())

    def cli_start(self):
        """The seconds that the command needs to start Python and import its modules."""
        began = time.monotonic()
        self._coiled(["--version"])
        return time.monotonic() - began

    def _reset(self):
        self.world.reset()
        self.network.forget()
        self._responses.clear()

    def _invoke(self, command, more=()):
        self._reset()
        more = {"RESPONSE_URL_HOSTS": f"{HOST}:{self.bucket}", **dict(more)}
        function = self.world.function(command, self.aws, more)
        try:
            began = time.monotonic()
            post(self.world.ports.emulator, INVOKE, json.dumps(self._event()))
            # The session has two processes: the emulator and the function.
            peak = max(_high_water_mb(pid) for pid in function.members() if pid != function.process.pid)
        finally:
            function.stop()
        if [response["Status"] for _, response in self._responses] != ["SUCCESS"]:
            printed = function.lines + [str(response) for _, response in self._responses]
            sys.exit("the Create failed:\n" + "\n".join(printed))
        init = next(float(match[1]) for match in map(INIT.search, function.lines) if match)
        return Run(self._responses[0][0] - began, init, peak, self.network.requests, self.network.round_trips())

    def _event(self):
        """events/create.json with the ports of the slow network, and with the same workspace as the command."""
        fixed = Ports.fixed()
        text = (ROOT / "events" / "create.json").read_text()
        for direct, delayed in ((fixed.coiled, self.coiled), (fixed.bucket, self.bucket)):
            text = text.replace(f"{HOST}:{direct}", f"{HOST}:{delayed}")
        event = json.loads(text)
        event["ResourceProperties"]["Workspace"] = WORKSPACE
        return event

    def _coiled(self, arguments):
        with tempfile.TemporaryDirectory() as home:
            return subprocess.run(
                [sys.executable, "-m", "coiled", *arguments],
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": home,
                    # Without these two variables, dask also reads configuration outside of HOME.
                    "DASK_CONFIG": home,
                    "DASK_ROOT_CONFIG": home,
                    "DASK_COILED__SERVER": f"http://{HOST}:{self.coiled}",
                    "DASK_COILED__TOKEN": TOKEN,
                    "AWS_ENDPOINT_URL": f"http://{HOST}:{self.aws}",
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_DEFAULT_REGION": REGION,
                    "AWS_EC2_METADATA_DISABLED": "true",
                    "COLUMNS": "200",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            )

    def _check_connection(self, who):
        """Exits unless the workspace is connected and the user has one active key and two policies."""
        _, shown = self.world.coiled_api("GET", f"/api/v1/{WORKSPACE}/backend_options/")
        listed = lambda action: self.world.aws("iam", f"Action={action}&Version=2010-05-08&UserName={USER}")
        found = (
            json.loads(shown).get("options", {}).get("provider_name"),
            listed("ListAccessKeys").count("<Status>Active</Status>"),
            listed("ListAttachedUserPolicies").count("<PolicyArn>"),
        )
        if found != ("aws", 1, 2):
            sys.exit(f"{who} left provider, active keys and policies {found}; a working connection has ('aws', 1, 2)")


def _high_water_mb(pid):
    """The peak resident memory of a process (VmHWM) in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def zip_mb(files):
    """The size in MB of a zip with these files, given as {name in the zip: path}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in files.items():
            archive.write(path, name)
    return len(buffer.getvalue()) / 1e6


def crhelper_files(python):
    """The files of the crhelper function. boto3 is not among them, because Lambda's Python runtime contains it."""
    command = [python, "-c", "import crhelper, pathlib; print(pathlib.Path(crhelper.__file__).parent)"]
    package = Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    sources = {f"crhelper/{path.relative_to(package)}": path for path in package.rglob("*.py")}
    return {"handler.py": Path(__file__).with_name("handler.py"), **sources}


def load():
    """The load average of the last minute, and the number of cores."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
