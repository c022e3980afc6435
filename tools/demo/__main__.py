"""Runs the demo; `--keep` leaves it running, `--stop` ends what an earlier one left."""

import argparse
import os
import signal
import sys
from pathlib import Path

from .life import Life
from .report import Report
from .servers import Servers, Tools, stop, tail
from .stack import NAME

FOLDER = Path(".tools/demo").resolve()


def main():
    """Exit code 0 only if all of it held."""
    arguments = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    # An earlier one may have been kept.
    stop(FOLDER)
    if arguments.stop:
        return 0
    os.environ["NO_PROXY"] = "*"
    report, servers = Report(), Servers(FOLDER, Tools(arguments.ministack, arguments.stand_in))
    kept = False
    try:
        with report.step("start", "MiniStack and a stand-in for Coiled, on loopback"):
            servers.start()
        life = Life(servers, report)
        life.run()
        if arguments.keep and report.all_held:
            life.again()
            kept = report.all_held
        report.table()
        if not report.all_held:
            report.show(f"\nthe last that MiniStack printed, the function's log among it:\n{tail(servers.log('ministack'), 60)}")
        if kept:
            report.show(_how_to_look_around(servers))
    finally:
        if not kept:
            stop(FOLDER)
    return 0 if report.all_held else 1


def _arguments():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--ministack", type=Path, required=True, metavar="FILE")
    parser.add_argument("--stand-in", type=Path, required=True, metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="leave a deployed stack and its servers running")
    parser.add_argument("--stop", action="store_true", help="end what an earlier --keep left, and do nothing else")
    return parser.parse_args()


def _how_to_look_around(servers):
    wanted = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    exports = " ".join(f"{name}={servers.environment()[name]}" for name in wanted)
    return f"""
The stack {NAME} and both servers are still there. To look around, with the SAM CLI, the AWS CLI or any SDK:

  export {exports} NO_PROXY=127.0.0.1
  .tools/sam/bin/sam list stack-outputs --stack-name {NAME}
  aws cloudformation describe-stack-events --stack-name {NAME}
  aws iam list-user-tags --user-name coiled
  aws iam list-attached-user-policies --user-name coiled

What MiniStack and the function print:  {servers.folder}/ministack.log
What Coiled is asked, and holds:        {servers.folder}/coiled.log
And when you have seen enough:          make demo-stop"""


if __name__ == "__main__":
    sys.exit(main())
