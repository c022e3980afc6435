"""The transcript of a session as a page of the documentation. What differs each time is replaced by examples."""

import difflib
import re
from pathlib import Path

PAGE = Path("docs/session.md")

_INTRODUCTION = """\
# A session

For whoever wants to see the four commands before using them. `make session` types the commands on this page in a
terminal. They deploy the real function to MiniStack, with a stand-in for Coiled: see [The demo](demo.md). `make session
WRITE=1` wrote this page, and `.ci/run` checks that it is up to date. Times, IDs, ports and line numbers are examples.

For Coiled itself, omit `SET=CoiledServer=…`. What each command does: [The four commands](commands.md).
"""

# The first match of each pattern that has a group replaces only this group.
_EXAMPLES = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:8000"),
    (r"\d\d:\d\d:\d\d(?=  \w)", "12:00:00"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-01-01 12:00"),
    (r"\bAKIA\w{16}\b", "AKIAIOSFODNN7EXAMPLE"),
    (r"(?<=secret:)([\w-]+?)-\w+(?=\s|$)", r"\1-AbCdEf"),
    (r"(?<=Makefile:)\d+", "1"),
]
_EVENT = re.compile(r"  12:00:00  ")


class Transcript:
    """Sections with a title, a text and commands."""

    def __init__(self):
        self._parts = [_INTRODUCTION]

    def section(self, title, text):
        """Begins a section."""
        self._parts.append(f"## {title}\n\n{text}\n")

    def command(self, line, printed):
        """Adds a command and what it printed."""
        shown = f"$ {line}\n{printed}".rstrip()
        self._parts.append(f"```\n{with_examples(shown)}\n```\n")

    def page(self):
        """The whole page."""
        return "\n".join(self._parts)


def with_examples(text):
    """A text in which everything that differs from session to session is replaced."""
    for pattern, example in _EXAMPLES:
        text = re.sub(pattern, example, text)
    return text


def difference(page, transcript):
    """How a page differs from a transcript; empty if it does not. The order of events is not compared."""
    old = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    new = transcript.page().splitlines()
    lines = difflib.unified_diff(_stable(old), _stable(new), str(page), "new", lineterm="", n=2)
    return "\n".join(lines)


def _stable(lines):
    """The lines, with each block of events in alphabetical order, because CloudFormation works in parallel."""
    stable, block = [], []
    for line in [*lines, ""]:
        if _EVENT.match(line):
            block.append(line)
        else:
            stable += [*sorted(block), line]
            block = []
    return stable
