"""What all programs on AWS share: they explain what went wrong, and their exit code says it."""

import os

from . import failures
from .problem import Misuse, Problem
from .run import NOTHING_YET
from .screen import Screen
from .settings import Wrong

# The errors that a person can do something about. Any other error is a defect, and prints a traceback.
EXPECTED = (Wrong, Problem, *failures.ERRORS)
_INTERRUPTED = 130


def main(begin, work, explain=failures.explain, nothing_yet=NOTHING_YET):
    """Runs `work` on what `begin` makes of the screen. Returns the exit code. `nothing_yet` is the situation before."""

    def situation():
        return run.situation if run else nothing_yet

    screen = Screen(os.environ)
    run = None
    try:
        run = begin(screen)
        work(run)
    except EXPECTED as error:
        found = problem(error, explain)
        screen.problem(found, situation())
        return found.exit_code
    except KeyboardInterrupt:
        screen.note(f"\nInterrupted. {situation()}")
        return _INTERRUPTED
    return 0


def problem(error, explain=failures.explain):
    """The problem behind an expected error. `explain` explains the errors of AWS's SDK."""
    match error:
        case Wrong():
            return Misuse(str(error))
        case Problem():
            return error
        case _:
            return explain(error)
