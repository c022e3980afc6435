"""A terminal: types a line, and shows what a person would see."""

import signal
import time
from contextlib import contextmanager

import pexpect
import pyte

from .watch import Watch

# Wide enough that no line is wrapped: a wrapped ARN could not be recognized.
_ROWS, _COLUMNS = 60, 400
# In seconds, for one command. One of them compiles the function.
_PATIENCE = 600


class Terminal:
    """Runs each line with bash, in a pseudo-terminal of its own."""

    def __init__(self, folder, environment, secrets):
        self._folder = folder
        self._environment = environment
        self._secrets = secrets

    @contextmanager
    def type(self, line, **variables):
        """Types a line. The block answers questions; at its end, the rest of the output is read."""
        environment = self._environment | variables
        options = {"cwd": str(self._folder), "env": environment, "dimensions": (_ROWS, _COLUMNS)}
        # Whoever starts this in the background, as scripts do, makes it and its children ignore Ctrl-C.
        options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        process = pexpect.spawn("bash", ["-c", line], **options)
        try:
            with Watch(process.pid, self._secrets) as watch:
                typed = Typed(line, process, watch)
                yield typed
                typed.finish()
        finally:
            # Only a process that should have ended by itself is still running.
            process.close(force=True)


class Typed:
    """A line that was typed, and what it has printed so far."""

    def __init__(self, line, process, watch):
        self._process = process
        self._until = time.monotonic() + _PATIENCE
        self._screen = pyte.Screen(_COLUMNS, 1000)
        self._stream = pyte.ByteStream(self._screen)
        self.line = line
        self.watch = watch
        self.raw = b""
        self.code = None

    @property
    def text(self):
        """The lines on the screen, without colors."""
        rows = (self._screen.buffer[y] for y in range(self._screen.cursor.y + 1))
        lines = ("".join(row[x].data for x in range(max(row, default=-1) + 1)) for row in rows)
        return "\n".join(line.rstrip() for line in lines).rstrip()

    def expect_above_spinner(self, text):
        """Waits for a text, and then until the spinner below it turns: until then, the text is still being printed."""
        self._read_until(lambda: text in self.text, text)
        last = self.text.splitlines()[-1]
        self._read_until(lambda: self.text.splitlines()[-1] != last, "a spinner")

    def answer(self, question, text=""):
        """Waits for a question, and answers it with a text and Enter."""
        self._expect_question(question)
        self._process.sendline(text)

    def answer_hidden(self, question, text):
        """Waits for a question whose answer must not be shown, and answers it."""
        self._expect_question(question)
        # Before that, the terminal itself would show the answer.
        self._process.waitnoecho()
        self._process.sendline(text)

    def interrupt(self):
        """Types Ctrl-C."""
        self._process.sendintr()

    def finish(self):
        """Reads the rest of the output, and notes the exit code."""
        try:
            while True:
                self._read()
        except pexpect.EOF:
            self._process.wait()
            # As in a shell's $?.
            ended_by = self._process.signalstatus
            self.code = self._process.exitstatus if ended_by is None else 128 + ended_by

    def _expect_question(self, question):
        # The text has no spaces at its end.
        self._read_until(lambda: self.text.endswith(question.rstrip()), question)

    def _read_until(self, is_there, text):
        try:
            while not is_there():
                self._read()
        except pexpect.EOF:
            raise pexpect.EOF(f"{self.line} ended without: {text}\nIt printed:\n{self.text}") from None

    def _read(self):
        # A spinner prints all the time, so a limit for each read would never be reached.
        left = self._until - time.monotonic()
        if left <= 0:
            raise pexpect.TIMEOUT(f"{self.line} has not ended or asked within {_PATIENCE} s. It printed:\n{self.text}")
        chunk = self._process.read_nonblocking(65536, timeout=left)
        self.raw += chunk
        self._stream.feed(chunk)
