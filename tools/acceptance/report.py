"""The report: a page of Markdown to attach to an issue."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from .steps import FAILED


@dataclass
class Report:
    """Everything that the report contains. It is written after each step, in case the program is killed."""

    path: Path
    scrub: object
    # Facts about this run, by name.
    facts: dict
    # Filled by the steps.
    responses: dict = field(default_factory=dict)
    users: dict = field(default_factory=dict)
    log: list = field(default_factory=list)
    # None until somebody has looked.
    leftovers: list | None = None

    def write(self, outcomes, recorder, is_complete=False):
        """Writes the report. Its whole text is scrubbed here, so that no part can be forgotten."""
        text = self.scrub("\n".join(self._lines(outcomes, recorder, is_complete)))
        new = self.path.with_name(f"{self.path.name}.new")
        # Only its owner can read it until somebody has decided to publish it.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
        new.replace(self.path)

    def summary(self, outcomes):
        """The result in one sentence."""
        failed = [outcome.name for outcome in outcomes if outcome.result == FAILED]
        steps = f"these steps failed: {', '.join(failed)}" if failed else "no step failed"
        if self.leftovers is None:
            left = "nobody has looked yet at what is left"
        else:
            left = f"{len(self.leftovers)} things are left" if self.leftovers else "nothing is left"
        return f"{steps[0].upper()}{steps[1:]}, and {left}."

    def _lines(self, outcomes, recorder, is_complete):
        yield "# Acceptance report\n"
        yield "" if is_complete else "**The test has not ended, or it was killed.**\n"
        yield f"**Result:** {self.summary(outcomes)}\n"
        yield from _table(("fact", "value"), self.facts.items())
        yield "\n## Steps\n"
        yield from _table(("step", "result", "seconds", ""), _rows(outcomes))
        yield "\n## What is left\n"
        yield from self._left()
        yield "\n## The IAM user after each step\n"
        yield from _table(("step", "attached policies", "access keys"), self.users.items(), spread=True)
        yield "\n## What Coiled responds\n"
        for state, responses in self.responses.items():
            yield from _responses(state, responses)
        yield "\n## Errors from AWS\n"
        yield "These include the expected errors, such as those about a stack that does not exist yet.\n"
        yield from _table(("step", "call", "code", "message", "times"), _errors(recorder))
        yield "\n## The function's warnings and errors\n"
        yield _fenced("\n".join(self.log) or "not read, because there was no log group")
        yield "\n## Stack events\n"
        yield from _table(("time (UTC)", "resource", "status", "reason"), _events(recorder))

    def _left(self):
        if self.leftovers is None:
            yield "Not known yet."
        elif not self.leftovers:
            yield "Nothing of the stack. What Coiled itself created remains: docs/after-deploying.md lists it."
        for leftover in self.leftovers or ():
            yield f"- {_cell(leftover)}"


def _rows(outcomes):
    for outcome in outcomes:
        yield outcome.name, outcome.result, f"{outcome.seconds:.0f}", outcome.text


def _errors(recorder):
    for error, times in recorder.errors():
        yield error.step, error.call, error.code, error.message, times


def _events(recorder):
    for event in recorder.events():
        reason = event.get("ResourceStatusReason", "")
        yield f"{event['Timestamp']:%H:%M:%S}", event["LogicalResourceId"], event["ResourceStatus"], reason


def _responses(state, responses):
    yield f"\n### {state}\n"
    for response in responses:
        yield f"`GET {response.path}`: {response.status}, {response.kind or 'no content type'}\n"
        yield f"{_fenced(response.body)}\n"


def _table(heads, rows, spread=False):
    """The lines of a table. With `spread`, the second element of a row has the other cells."""
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        cells = (row[0], *row[1]) if spread else row
        yield f"| {' | '.join(map(_cell, cells))} |"


def _cell(value):
    return re.sub(r"\s*\n\s*", "<br>", str(value).strip()).replace("|", "\\|")


def _fenced(text):
    """A code block, with a fence that the text does not contain."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"
