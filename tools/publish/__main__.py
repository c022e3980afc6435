"""Publishes dist/. Exits with 0 on success, 1 on failure, 2 on incorrect usage and 130 on Ctrl-C."""

import os
import sys

from botocore.exceptions import ClientError

from stack import failures, program
from stack.problem import Problem

from .options import Options
from .run import NOTHING_YET, Run

# Responses to HEAD have no body, so there is only the status.
_DENIED = failures.DENIED | {"403"}


def main():
    """Publishes, and explains what went wrong."""
    return program.main(lambda screen: Run(Options.read(os.environ), screen), Run.publish, _explain, NOTHING_YET)


def _explain(error):
    if isinstance(error, ClientError) and failures.code(error) in _DENIED:
        what = f"You are not allowed to call {error.operation_name}. AWS says: {failures.text(error)}"
        return Problem(what, "publisher.yaml has a role that is allowed everything this command does: docs/mirror.md")
    return failures.explain(error)


if __name__ == "__main__":
    sys.exit(main())
