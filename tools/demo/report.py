"""What the demo says: progress while it works, and a table at the end."""

import os
import sys
import textwrap
import time
from contextlib import contextmanager


class Report:
    """Steps, each with claims that hold or don't."""

    def __init__(self, out=sys.stdout):
        self._out = out
        self._colour = out.isatty() and not os.environ.get("NO_COLOR")
        self._began = time.monotonic()
        self.rows = []
        self.said = []
        self.seconds = {}
        self._step = None

    @property
    def all_held(self):
        """Whether there was something to hold, and all of it did."""
        return bool(self.rows) and all(held for _, _, held in self.rows)

    @contextmanager
    def step(self, name, what):
        """One step; what is claimed in it stands under its name."""
        self._step, since = name, time.monotonic()
        self._line(self._bold(f"==> {name}: {what}"))
        yield
        self.seconds[name] = time.monotonic() - since
        self._line(f"    {self.seconds[name]:.1f} s")

    def show(self, text):
        """Something to look at."""
        for line in text.rstrip().splitlines():
            self._line("    " + line)

    def claim(self, what, held, instead=""):
        """Something that has to be so; goes on either way, so that all that is wrong is seen."""
        self.rows.append((self._step, what, bool(held)))
        self._line(f"    {self._mark(held)} {what}")
        if not held:
            self.show(textwrap.indent(str(instead) or "it is not", "  "))
        return bool(held)

    def table(self):
        """All claims, and the sum of it."""
        self._line("")
        last = None
        for step, what, held in self.rows:
            name = "" if step == last else f"{step:<14}{self.seconds.get(step, 0):>5.1f} s"
            self._line(f"{name:<23}{self._mark(held)} {what}")
            last = step
        failed = sum(not held for _, _, held in self.rows)
        verdict = f"all {len(self.rows)} held" if not failed else f"{failed} of {len(self.rows)} did not hold"
        self._line(self._bold(f"\n{verdict}, in {time.monotonic() - self._began:.0f} s"))

    def _mark(self, held):
        word = "ok    " if held else "FAILED"
        return f"\033[{32 if held else 31}m{word}\033[0m" if self._colour else word

    def _bold(self, text):
        return f"\033[1m{text}\033[0m" if self._colour else text

    def _line(self, text):
        self.said.append(text)
        print(text, file=self._out, flush=True)
