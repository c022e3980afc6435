"""Publishes dist/. Exits with 0 on success, 1 on failure, 2 on incorrect usage and 130 on Ctrl-C."""

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from stack import failures
from stack.problem import Problem
from stack.screen import Screen

from .options import Options
from .run import NOTHING_YET, Run

_INTERRUPTED = 130
# Responses to HEAD have no body, so there is only the status.
_DENIED = failures.DENIED | {"403"}


def main():
    """Publishes, and explains what went wrong."""
    screen = Screen(os.environ)
    run = None
    try:
        run = Run(Options.read(os.environ), screen)
        run.publish()
    except Problem as problem:
        return _report(screen, run, problem)
    except (ClientError, BotoCoreError) as error:
        return _report(screen, run, _explain(error))
    except KeyboardInterrupt:
        screen.note(f"\nInterrupted. {_situation(run)}")
        return _INTERRUPTED
    return 0


def _explain(error):
    if isinstance(error, ClientError) and failures.code(error) in _DENIED:
        what = f"You are not allowed to call {error.operation_name}. AWS says: {failures.text(error)}"
        return Problem(what, "publisher.yaml has a role that is allowed everything this command does: docs/mirror.md")
    return failures.explain(error)


def _report(screen, run, problem):
    screen.problem(problem, _situation(run))
    return problem.exit_code


def _situation(run):
    return run.situation if run else NOTHING_YET


if __name__ == "__main__":
    sys.exit(main())
