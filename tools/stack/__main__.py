"""Runs one command on the stack. Exits with 0 on success, 1 on failure, 2 on incorrect usage and 130 on Ctrl-C."""

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from . import delete, deploy, failures, status, update
from .options import Options
from .problem import Misuse, Problem
from .run import NOTHING_YET, Run
from .screen import Screen
from .settings import Wrong

_COMMANDS = {"deploy": deploy.run, "update": update.run, "status": status.run, "delete": delete.run}
_INTERRUPTED = 130


def main():
    """Runs the command, and explains what went wrong."""
    screen = Screen(os.environ)
    run = None
    try:
        run = Run(Options.read(os.environ), screen)
        _COMMANDS[_command(run.options)](run)
    except Wrong as wrong:
        return _report(screen, run, Misuse(str(wrong)))
    except Problem as problem:
        return _report(screen, run, problem)
    except (ClientError, BotoCoreError) as error:
        return _report(screen, run, failures.explain(error))
    except KeyboardInterrupt:
        screen.note(f"\nInterrupted. {_situation(run)}")
        return _INTERRUPTED
    return 0


def _command(options):
    """The command's name. Rejects options that it does not support."""
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in _COMMANDS:
        raise Misuse(f"Expected one of these: {', '.join(_COMMANDS)}.")
    if options.settings.strip() and name in ("status", "delete"):
        raise Misuse(f"SET is only for deploy and update. {name} changes no parameters.")
    return name


def _report(screen, run, problem):
    screen.problem(problem, _situation(run))
    return problem.exit_code


def _situation(run):
    return run.situation if run else NOTHING_YET


if __name__ == "__main__":
    sys.exit(main())
