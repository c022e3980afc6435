"""Clicks on the launch page in dist/, creates the stack in a browser on this machine, and deletes it."""

import argparse
import os
import signal
import sys
from pathlib import Path

from demo.servers import Tools
from release import dist
from stack.problem import Problem

from .click import run


def main():
    """Exits with 0 only if all checks passed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    os.environ["NO_PROXY"] = "*"
    arguments = _arguments()
    try:
        passed = run(dist.read("dist"), Tools(arguments.ministack, arguments.stand_in), arguments.node)
    except Problem as problem:
        print(f"{problem.what}\n{problem.fix}", file=sys.stderr)
        return problem.exit_code
    return 0 if passed else 1


def _arguments():
    parser = argparse.ArgumentParser(prog="launch", description=__doc__)
    for name in ("--ministack", "--stand-in", "--node"):
        parser.add_argument(name, type=Path, required=True, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
