"""Plays the session against MiniStack and a stand-in for Coiled, and compares the transcript with docs/session.md."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

import pexpect

from demo.report import Report
from demo.servers import Servers, Tools, stop, tail

from . import checkout
from .play import Play
from .transcript import PAGE, Transcript, difference


def main():
    """Exits with 0 only if all checks passed."""
    arguments = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    os.environ["NO_PROXY"] = "*"
    report, transcript = Report(), Transcript()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        servers = Servers(folder / "servers", Tools(arguments.ministack, arguments.stand_in))
        try:
            _play(servers, report, transcript, folder / "my checkout")
            _compare(report, transcript, arguments.write)
        except pexpect.ExceptionPexpect as error:
            report.check("the command went on", False, error)
        finally:
            last = tail(servers.log("ministack"), 60)
            stop(servers.folder)
    report.table()
    if not report.all_passed:
        report.show(f"\nThe last lines of MiniStack's log, which includes the function's log:\n{last}")
    return 0 if report.all_passed else 1


def _play(servers, report, transcript, folder):
    with report.step("start", "Start MiniStack and a stand-in for Coiled, and copy the checkout"):
        servers.start()
        checkout.copy(folder)
    Play(servers, report, transcript, folder).run()


def _compare(report, transcript, write):
    if not report.all_passed:
        return
    with report.step("transcript", f"Compare the transcript with {PAGE}"):
        if write:
            PAGE.write_text(transcript.page(), encoding="utf-8")
        differs = difference(PAGE, transcript)
        hint = "If the new transcript is right, write it with: make session WRITE=1"
        report.check(f"{PAGE} shows this session", not differs, f"{differs}\n{hint}")


def _arguments():
    parser = argparse.ArgumentParser(prog="session", description=__doc__)
    parser.add_argument("--ministack", type=Path, required=True, metavar="FILE")
    parser.add_argument("--stand-in", type=Path, required=True, metavar="FILE")
    parser.add_argument("--write", action="store_true", help=f"write the transcript to {PAGE}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
