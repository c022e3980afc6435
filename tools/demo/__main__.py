"""Runs the demo. `--keep` leaves a deployed stack and its servers running, `--stop` stops them."""

import argparse
import os
import signal
import sys
from pathlib import Path

from .life import Lifecycle
from .report import Report
from .servers import Servers, Tools, exclusive, stop, tail
from .stack import NAME


def main():
    """Exits with 0 only if all checks passed."""
    arguments = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with exclusive("demo") as folder:
        # The servers of an earlier demo may still be running because of --keep.
        stop(folder)
        return 0 if arguments.stop else _demonstrate(arguments, folder)


def _demonstrate(arguments, folder):
    os.environ["NO_PROXY"] = "*"
    report, servers = Report(), Servers(folder, Tools(arguments.ministack, arguments.stand_in))
    kept = False
    try:
        with report.step("start", "Start MiniStack and a stand-in for Coiled on 127.0.0.1"):
            servers.start()
        lifecycle = Lifecycle(servers, report)
        lifecycle.run()
        if arguments.keep and report.all_passed:
            lifecycle.deploy_again()
            kept = report.all_passed
        report.table()
        if not report.all_passed:
            last = tail(servers.log("ministack"), 60)
            report.show(f"\nThe last lines of MiniStack's log, which includes the function's log:\n{last}")
        if kept:
            report.show(_how_to_look_around(servers))
    finally:
        if not kept:
            stop(folder)
    return 0 if report.all_passed else 1


def _arguments():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--ministack", type=Path, required=True, metavar="FILE")
    parser.add_argument("--stand-in", type=Path, required=True, metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="deploy again at the end, and leave everything running")
    parser.add_argument("--stop", action="store_true", help="only stop what an earlier --keep left running")
    return parser.parse_args()


def _how_to_look_around(servers):
    wanted = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    exports = " ".join(f"{name}={servers.environment()[name]}" for name in wanted)
    return f"""
The stack {NAME} and both servers are still running. To inspect them with the SAM CLI, the AWS CLI or any SDK:

  export {exports} NO_PROXY=127.0.0.1
  .tools/sam/bin/sam list stack-outputs --stack-name {NAME}
  aws cloudformation describe-stack-events --stack-name {NAME}
  aws iam list-user-tags --user-name coiled
  aws iam list-attached-user-policies --user-name coiled

Log of MiniStack and the function:  {servers.folder}/ministack.log
Log of the stand-in for Coiled:     {servers.folder}/coiled.log
To stop everything:                 make demo-stop"""


if __name__ == "__main__":
    sys.exit(main())
