"""The function, `coiled setup aws` and a crhelper handler: each makes the same from nothing, and is measured at it."""

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

from bench.road import SlowRoad

USER = "coiled"
# What the emulator logs when the function has asked for its first event. (Init Duration in its REPORT line is another:
# it leaves out the start of the process.)
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
CLI = ["setup", "aws", "--use-access-key", "--yes", "--accept-delete", "--workspace", WORKSPACE, "--iam-user", USER]


@dataclass
class Run:
    """One contender, once."""

    seconds: float
    init_ms: float = 0.0
    peak_mb: float = 0.0
    requests: list = field(default_factory=list)
    chain: list = field(default_factory=list)

    def to(self, server):
        """Requests to a server; a WebSocket is one, whatever is said on it."""
        return [request for request in self.requests if request.server == server and not request.is_message]

    def proofs(self):
        """Calls to STS after the key was made: how often it had to work."""
        return len(self._tried())

    def settle_seconds(self):
        """From the answer to the last proof to the message that registers the key."""
        return self._told().began - self._tried()[-1].ended

    def added_up(self):
        """The round trips of the path, without those that the settle time hides: they are over before it is."""
        proved, told = self._tried()[-1].ended, self._told().began
        return [request for request in self.chain if request.began < proved or request.ended > told]

    def cli_settle_seconds(self):
        """The command tries the key, pauses, and tries it again on its way to registering it."""
        first, *_, last = self._tried()
        return last.began - first.ended

    def shortest_ms(self):
        """Of every request that was answered."""
        return min(request.ended - request.began for request in self.requests) * 1000

    def _tried(self):
        names = [request.name for request in self.requests]
        after = self.requests[names.index("CreateAccessKey") :]
        return [request for request in after if request.name == "GetCallerIdentity"]

    def _told(self):
        return next(request for request in self.requests if request.is_message)


class Track:
    """All servers, each behind the slow road; whoever runs finds an empty account and a workspace without connection."""

    def __init__(self, options):
        self.options = options
        self._answers = []
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        answered = lambda body: self._answers.append((time.monotonic(), json.loads(body)))
        self.world = self._stack.enter_context(World(self.options, Ports.free(), lambda *_: None, answered))
        self.road = self._stack.enter_context(contextlib.closing(SlowRoad(HOST)))
        ports = self.world.ports
        self.aws = self.road.to("AWS", ports.moto)
        self.coiled = self.road.to("Coiled", ports.coiled)
        self.bucket = self.road.to("bucket", ports.bucket)
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def function(self):
        """A Create, from the event to the answer in the bucket, in a process that the event starts."""
        run = self._invoke(None)
        self._check_connection("the function")
        return run

    def crhelper(self):
        """The same of the handler in Python, by AWS's own runtime client for it."""
        return self._invoke(
            [self.options.python, "-m", "awslambdaric", "handler.handler"], {"PYTHONPATH": str(Path(__file__).parent)}
        )

    def cli(self):
        """The whole command: that is what a person waits for."""
        self._make_ready()
        began = time.monotonic()
        ended = self._coiled([*CLI, "--region", self._event()["ResourceProperties"]["Region"]])
        seconds = time.monotonic() - began
        # Its exit status is 0 when it fails as well.
        if ended.returncode or "Setup complete" not in ended.stdout:
            sys.exit(f"`coiled setup aws` failed:\n{ended.stdout}")
        self._check_connection("`coiled setup aws`")
        return Run(seconds, requests=self.road.requests, chain=self.road.round_trips())

    def cli_start(self):
        """The start of the command alone."""
        began = time.monotonic()
        self._coiled(["--version"])
        return time.monotonic() - began

    def _make_ready(self):
        self.world.reset()
        self.road.forget()
        self._answers.clear()

    def _invoke(self, command, more=()):
        self._make_ready()
        function = self.world.function(command, self.aws, more)
        try:
            began = time.monotonic()
            post(self.world.ports.emulator, INVOKE, json.dumps(self._event()))
            # The emulator is the first of the session, the function the second.
            peak = max(_high_water_mb(pid) for pid in function.members() if pid != function.process.pid)
        finally:
            function.stop()
        if [answer["Status"] for _, answer in self._answers] != ["SUCCESS"]:
            sys.exit("the Create did not succeed:\n" + "\n".join(function.lines + [str(a) for _, a in self._answers]))
        init = next(float(match[1]) for match in map(INIT.search, function.lines) if match)
        return Run(self._answers[0][0] - began, init, peak, self.road.requests, self.road.round_trips())

    def _event(self):
        """The Create of events/, by way of the slow road; with the workspace named, as on the command line."""
        fixed = Ports.fixed()
        text = (ROOT / "events" / "create.json").read_text()
        for there, here in ((fixed.coiled, self.coiled), (fixed.bucket, self.bucket)):
            text = text.replace(f"{HOST}:{there}", f"{HOST}:{here}")
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
                    # Its configuration would else be read from more places than HOME.
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
        """Both make the same: a workspace that is connected, and a user with one active key and two policies."""
        _, shown = self.world.coiled_api("GET", f"/api/v1/{WORKSPACE}/backend_options/")
        listed = lambda action: self.world.aws("iam", f"Action={action}&Version=2010-05-08&UserName={USER}")
        found = (
            json.loads(shown).get("options", {}).get("provider_name"),
            listed("ListAccessKeys").count("<Status>Active</Status>"),
            listed("ListAttachedUserPolicies").count("<PolicyArn>"),
        )
        if found != ("aws", 1, 2):
            sys.exit(f"{who} left no working connection (provider, active keys, policies): {found}")


def _high_water_mb(pid):
    """The most memory that was ever resident (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def zip_mb(files):
    """As it would be uploaded: a name in the archive for each file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in files.items():
            archive.write(path, name)
    return len(buffer.getvalue()) / 1e6


def crhelper_files(python):
    """The handler and crhelper; boto3 is part of Lambda's Python runtime."""
    where = [python, "-c", "import crhelper, pathlib; print(pathlib.Path(crhelper.__file__).parent)"]
    package = Path(subprocess.run(where, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    sources = {f"crhelper/{path.relative_to(package)}": path for path in package.rglob("*.py")}
    return {"handler.py": Path(__file__).with_name("handler.py"), **sources}


def load():
    """How busy the machine is: processes that want a core, over the cores."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
