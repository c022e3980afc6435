"""Everything that a command prints."""

import contextlib
import sys

from rich.console import Console
from rich.text import Text


class Screen:
    """Prints to a terminal with color, and to anything else as plain lines."""

    def __init__(self, environment):
        self._plain = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
        self._out = self._console(sys.stdout)
        self._err = self._console(sys.stderr)
        self._masks = []

    def _console(self, stream):
        # Texts from AWS contain [brackets], which are not rich's markup, and must not be cut or wrapped.
        color = {"color_system": None} if self._plain or not stream.isatty() else {}
        return Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True, **color)

    @property
    def errors(self):
        """The console for questions and errors."""
        return self._err

    def mask(self, token):
        """Hides a token in everything that is printed from now on."""
        self._masks.append(token)

    def line(self, text="", style=""):
        """Prints text to standard output."""
        self._out.print(Text(self._masked(text), style))

    def title(self, text):
        """Begins a part of the output."""
        self.line(text, "bold")

    def row(self, name, text, style=""):
        """Prints a named value. Further lines of the value are indented below the first one."""
        first, *rest = self._masked(text).split("\n")
        self._out.print(Text.assemble((f"  {name:<17}", "dim"), (first, style)))
        for more in rest:
            self._out.print(Text.assemble(" " * 19, (more, style)))

    def problem(self, problem, situation):
        """Prints what happened, what has been done so far, and what to do."""
        self._err.print(Text(f"\n{self._masked(problem.what)}", "bold red"))
        for text in (situation, self._masked(problem.fix)):
            if text:
                self._err.print(Text(text))

    def note(self, text):
        """Prints a remark about the command itself."""
        self._err.print(Text(self._masked(text)))

    @contextlib.contextmanager
    def waiting(self, text):
        """Says what is going on. In a terminal, shows a spinner until it has ended."""
        self.line(f"{text} ...")
        with self.following():
            yield

    @contextlib.contextmanager
    def following(self, text=""):
        """In a terminal, shows a spinner below the lines that are printed meanwhile."""
        if self._plain or not self._out.is_terminal:
            yield
        else:
            with self._out.status(Text(text)):
                yield

    def _masked(self, text):
        for token in self._masks:
            text = token.masked_in(text)
        return text
