"""Prints the demo's progress, and a table of all checks at the end."""

import os
import sys
import textwrap
import time
from contextlib import contextmanager


class Report:
    """Collects the checks of each step, and everything that was printed."""

    def __init__(self, out=sys.stdout):
        self._out = out
        self._use_color = out.isatty() and not os.environ.get("NO_COLOR")
        self._began = time.monotonic()
        self.rows = []
        self.printed = []
        self.seconds = {}
        self._step = None

    @property
    def all_passed(self):
        """Whether there was at least one check, and all checks passed."""
        return bool(self.rows) and all(passed for _, _, passed in self.rows)

    @contextmanager
    def step(self, name, description):
        """Prints a step's name and duration, and lists the checks inside the block under that name."""
        self._step, since = name, time.monotonic()
        self._line(self._bold(f"==> {name}: {description}"))
        yield
        self.seconds[name] = time.monotonic() - since
        self._line(f"    {self.seconds[name]:.1f} s")

    def show(self, text):
        """Prints a text, indented."""
        for line in text.rstrip().splitlines():
            self._line("    " + line)

    def check(self, expectation, passed, details=""):
        """Records a check, and returns whether it passed. The demo continues after a failure, to show all failures."""
        self.rows.append((self._step, expectation, bool(passed)))
        self._line(f"    {self._verdict(passed)} {expectation}")
        if not passed:
            self.show(textwrap.indent(str(details) or "no details", "  "))
        return bool(passed)

    def table(self):
        """Prints all checks, and how many failed."""
        self._line("")
        last = None
        for step, expectation, passed in self.rows:
            name = "" if step == last else f"{step:<14}{self.seconds.get(step, 0):>5.1f} s"
            self._line(f"{name:<23}{self._verdict(passed)} {expectation}")
            last = step
        failed = sum(not passed for _, _, passed in self.rows)
        total = len(self.rows)
        summary = f"{failed} of {total} checks failed" if failed else f"all {total} checks passed"
        self._line(self._bold(f"\n{summary} in {time.monotonic() - self._began:.0f} s"))

    def _verdict(self, passed):
        word = "ok    " if passed else "FAILED"
        return f"\033[{32 if passed else 31}m{word}\033[0m" if self._use_color else word

    def _bold(self, text):
        return f"\033[1m{text}\033[0m" if self._use_color else text

    def _line(self, text):
        self.printed.append(text)
        print(text, file=self._out, flush=True)
