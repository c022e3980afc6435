"""Runs the whole test against MiniStack and the stand-in for Coiled, and checks the report. Starts no cluster."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

from demo.account import Account
from demo.overlay import overlaid
from demo.report import Report
from demo.servers import TOKEN, WORKSPACE, Servers, Tools, stop, tail

from .cluster import ROOT

STACK = "coiled-acceptance"
# The template accepts this tag, but the function rejects it because the tag's key is reserved.
RESERVED = """Tags='[{"Key": "coiled-stack:reserved", "Value": "x"}]'"""
STEPS = ("fresh", "deploy", "connected", "detach", "rotate", "delete", "disconnected", "leftovers")


class Demo:
    """Runs the program twice: as intended, and with a deployment that fails."""

    def __init__(self, servers, report, folder):
        self._servers = servers
        self._report = report
        self._folder = folder
        self._account = Account(servers.aws_url)
        self._before = self._account.everything()

    def succeed(self):
        """Run make acceptance's program against MiniStack and the stand-in for Coiled, without a cluster."""
        code, printed, text = self._run("")
        self._report.show(text)
        check = self._report.check
        check("the program exited with 0", code == 0, self._details(printed))
        for step in STEPS:
            check(f"the report says that the step {step} passed", f"| {step} | passed |" in text, text)
        self._check_states(text)
        check("the report says that no cluster was started", text.count("so no cluster was started.") == 2, text)
        check("the report says that nothing is left", "No step failed, and nothing is left." in text, text)
        self._check_end(printed, text)

    def fail(self):
        """Run it again with a deployment that fails."""
        code, printed, text = self._run(RESERVED)
        check = self._report.check
        check("the program exited with 1", code == 1, self._details(printed))
        check("the report says that the deployment failed", "| deploy | FAILED |" in text, text)
        check("the report has the status reason", "coiled-stack:" in text, text)
        check("the report says that the stack is deleted", "| delete | passed |" in text, text)
        check("the report says that nothing is left", "failed: deploy, and nothing is left." in text, text)
        self._check_end(printed, text)

    def _run(self, settings):
        """Runs the program. Returns its exit code, what it printed, and the report."""
        environment = self._servers.environment() | {
            "PYTHONPATH": str(ROOT / "tools"),
            "COILED_TOKEN": TOKEN,
            "STACK": STACK,
            "SET_TEXT": f"Workspace={WORKSPACE} CoiledServer={self._servers.coiled_url} {settings}",
            "YES": "1",
        }
        # For sam build, which runs cargo.
        environment |= {name: os.environ[name] for name in ("HOME", "CARGO_HOME", "RUSTUP_HOME") if name in os.environ}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("CARGO_")}
        done = subprocess.run(
            [sys.executable, "-m", "acceptance"],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout, self._take_report()

    def _take_report(self):
        """The text of the only report, which is then deleted."""
        found = list(self._folder.glob("acceptance-*.md"))
        if len(found) != 1:
            return f"there are {len(found)} reports"
        text = found[0].read_text(encoding="utf-8")
        self._report.check("only its owner can read the report", found[0].stat().st_mode & 0o077 == 0)
        found[0].unlink()
        return text

    def _check_states(self, text):
        """The stand-in shows a provider only while the workspace is connected."""
        _, *states = text.partition("## What Coiled responds")[2].partition("## Errors from AWS")[0].split("\n### ")
        shown = {state.split("\n")[0]: '"provider_name": "aws"' in state for state in states}
        connected = {"connected", "connected, after the rotation"}
        expected = {state: state in connected for state in ("token", "fresh", *connected, "disconnected")}
        self._report.check("the report has Coiled's responses in each state", shown == expected, shown)

    def _check_end(self, printed, text):
        check = self._report.check
        left = self._account.everything()
        check("the account is as it was before", left == self._before, left)
        check("Coiled has no registration", self._servers.registration() is None, self._servers.registration())
        check("the token is neither in the report nor in the output", TOKEN not in printed + text, "search for it")

    def _details(self, printed):
        return f"{printed}\n{tail(self._servers.log('ministack'))}"


def main():
    """Exits with 0 only if all checks passed."""
    arguments = _arguments()
    os.environ["NO_PROXY"] = "*"
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        servers = Servers(folder / "servers", Tools(arguments.ministack, arguments.stand_in))
        try:
            servers.start()
            _run(servers, report, _checkout(folder))
        finally:
            stop(servers.folder)
    report.table()
    return 0 if report.all_passed else 1


def _run(servers, report, folder):
    demo = Demo(servers, report, folder)
    for step in (demo.succeed, demo.fail):
        with report.step(step.__name__, step.__doc__.rstrip(".")):
            step()


def _checkout(folder):
    """A folder in which the commands find this checkout's sources, but the template for MiniStack."""
    place = folder / "checkout"
    place.mkdir()
    text, _ = overlaid((ROOT / "template.yaml").read_text(encoding="utf-8"), "template.yaml")
    template = yaml_parse(text)
    template["Resources"]["Function"]["Properties"]["CodeUri"] = str(ROOT)
    (place / "template.yaml").write_text(yaml_dump(template), encoding="utf-8")
    return place


def _arguments():
    parser = argparse.ArgumentParser(prog="acceptance.demo", description=__doc__)
    parser.add_argument("--ministack", type=Path, required=True, metavar="FILE")
    parser.add_argument("--stand-in", type=Path, required=True, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
