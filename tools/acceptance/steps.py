"""Runs the steps of the test, and keeps what became of each."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from stack import failures
from stack.problem import Problem

PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"


class Skip(Exception):
    """A step has nothing to do. The message says why."""


@dataclass(frozen=True)
class Step:
    """A step. `run` returns a remark, or raises an exception."""

    name: str
    title: str
    run: Callable
    # Whether the steps that follow make no sense without this one.
    is_needed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a step."""

    name: str
    result: str
    seconds: float
    text: str


class Steps:
    """Runs steps, and writes the report after each of them."""

    def __init__(self, screen, recorder, report):
        self._screen = screen
        self._recorder = recorder
        self._report = report
        self.outcomes = []

    @property
    def all_passed(self):
        """Whether no step has failed."""
        return all(outcome.result != FAILED for outcome in self.outcomes)

    def use(self, steps):
        """Runs steps up to an interruption, or to the failure of one that the others need."""
        for step in steps:
            outcome, is_interrupted = self._run(step)
            if is_interrupted or step.is_needed and outcome.result == FAILED:
                return

    def remove(self, steps):
        """Runs all steps, whatever happens. Only a second Ctrl-C in the same step skips the rest of it."""
        for step in steps:
            self._run(step)

    def _run(self, step):
        self._recorder.step = step.name
        self._screen.title(f"\n==> {step.name}: {step.title}")
        began = time.monotonic()
        result, text, is_interrupted = _attempt(step)
        outcome = Outcome(step.name, result, time.monotonic() - began, text)
        self.outcomes.append(outcome)
        self._screen.line(f"    {result}{f': {text}' if text else ''}", "red" if result == FAILED else "")
        self._write()
        return outcome, is_interrupted

    def _write(self):
        try:
            self._report.write(self.outcomes, self._recorder)
        except OSError as error:
            # A full disk must not prevent the deletion.
            self._screen.note(f"The report cannot be written: {error}")


def _attempt(step):
    """The result of a step, a text about it, and whether a person interrupted it."""
    try:
        return PASSED, step.run() or "", False
    except Skip as reason:
        return SKIPPED, str(reason), False
    except Problem as problem:
        return FAILED, f"{problem.what}\n{problem.fix}".strip(), False
    except failures.ERRORS as error:
        return FAILED, failures.explain(error).what, False
    except KeyboardInterrupt:
        return FAILED, "interrupted", True
    # A defect of this program must not prevent the deletion.
    except Exception:
        return FAILED, traceback.format_exc().strip(), False
