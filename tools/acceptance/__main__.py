"""Runs the test. Exits with 0 if every step passed and nothing is left, 1 on failure, 2 on incorrect usage."""

import os
import platform
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from stack import program
from stack.options import Options
from stack.problem import Problem
from stack.run import Run
from stack.screen import Screen

from .cluster import ROOT
from .prepare import Prepared
from .recorder import Recorder
from .report import Report
from .scrub import Scrubber
from .steps import Steps
from .trial import Trial


def main():
    """Runs the test, and explains what prevented it."""
    screen = Screen(os.environ)
    # Ctrl-C, and a polite request to end: both lead to the deletion.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _test(Run(Options.read(os.environ), screen))
    except program.EXPECTED as error:
        problem = program.problem(error)
    except KeyboardInterrupt:
        problem = Problem("Interrupted.")
    screen.problem(problem, "The test has not begun. Nothing was built or changed.")
    return problem.exit_code


def _test(run):
    recorder = Recorder()
    prepared = Prepared(run, recorder)
    report = Report(_path(), _scrubber(run, prepared).scrub, _facts(run, prepared))
    trial = Trial(run, prepared, report)
    prepared.ask(run, trial.uses() + trial.removes())
    steps = Steps(run.screen, recorder, report)
    steps.use(trial.uses())
    steps.remove(trial.removes())
    report.write(steps.outcomes, recorder, is_complete=True)
    run.screen.title(f"\n{report.summary(steps.outcomes)}")
    run.screen.line(f"The report is {report.path}. Read it before you attach it to an issue.")
    return 0 if steps.all_passed else 1


def _path():
    return Path(f"acceptance-{datetime.now():%Y-%m-%d-%H%M%S}.md").resolve()


def _scrubber(run, prepared):
    """Knows the secrets of this run, and the account's number, which concerns nobody else."""
    scrubber = Scrubber()
    credentials = run.aws.credentials()
    for secret in (prepared.token.reveal(), credentials["AWS_SECRET_ACCESS_KEY"], credentials.get("AWS_SESSION_TOKEN")):
        scrubber.hide(secret)
    scrubber.hide(run.aws.account, "(account)")
    return scrubber


def _facts(run, prepared):
    """What distinguishes this run from others."""
    clusters = "started" if prepared.has_clusters else "not started, because the Coiled server is on this machine"
    return {
        "begun": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "region": run.aws.region,
        "partition": run.aws.partition(),
        "AWS endpoint": os.environ.get("AWS_ENDPOINT_URL") or "AWS",
        "Coiled server": prepared.server,
        "clusters": clusters,
        "names": f"stack {prepared.names.stack}, user {prepared.names.path}{prepared.names.user}",
        "system": f"{platform.platform()}, Python {platform.python_version()}, boto3 {version('boto3')}",
    }


def _commit():
    """The commit of this checkout, and whether files differ from it."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown: there is no git"
    return done.stdout.strip() or "unknown: this is not a checkout"


if __name__ == "__main__":
    sys.exit(main())
