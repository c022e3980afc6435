"""Tests steps.py with a make program that runs the goals as shell commands."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("steps.py")


class Tests(unittest.TestCase):
    """Each test has its own folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.make = self.folder / "make"
        self.make.write_text('#!/bin/sh\neval "$1"\n')
        self.make.chmod(0o700)

    def run_steps(self, *arguments):
        """Runs the script with these arguments. Returns its exit code and the lines that it printed."""
        argv = [sys.executable, SCRIPT, "--make", self.make, "--title", "make it", "--takes", "a second", *arguments]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout.splitlines()

    def test_numbers_the_steps_and_runs_the_command_last(self):
        """A chain runs in order, the output of successful steps is hidden, and the command's exit code is kept."""
        chain = ["--chain", "one=echo hidden > file", "two=cat file"]
        code, lines = self.run_steps(*chain, "--", "sh", "-c", "cat file; exit 7")
        self.assertEqual(code, 7)
        self.assertEqual(lines[0], "make it takes a second (on two cores).")
        headings = [line for line in lines if line.startswith("==>")]
        self.assertEqual(headings, ["==> 1/3 one", "==> 2/3 two", "==> 3/3 make it"])
        self.assertEqual((lines.count("hidden"), lines[-1]), (1, "hidden"))

    def test_chains_run_at_the_same_time(self):
        """Each step waits for the other one. If they ran one after another, they would never end."""
        os.mkfifo(self.folder / "fifo")
        code, _ = self.run_steps("--chain", "one=echo > fifo", "--chain", "two=cat fifo", "--", "true")
        self.assertEqual(code, 0)

    def test_a_failure_shows_its_output_and_stops_everything(self):
        """The other step would run forever, and the command must not start."""
        os.mkfifo(self.folder / "fifo")
        endless, failing = "echo $$ > fifo; exec tail -f /dev/null", "cat fifo > pid; echo what went wrong; exit 3"
        code, lines = self.run_steps("--chain", f"one={endless}", "--chain", f"two={failing}", "--", "echo", "started")
        self.assertEqual(code, 1)
        self.assertIn("what went wrong", lines)
        self.assertIn("2/3 two failed. The other steps were stopped.", lines[-1])
        with self.assertRaises(ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), 0)

    def test_the_readme_names_the_same_times_as_the_makefile(self):
        """Only people read both texts, so no other test would notice a difference."""
        times = re.findall(r"^[A-Z]+_TAKES := (.+)", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(len(times), 2)
        readme = Path("README.md").read_text(encoding="utf-8")
        for text in times:
            self.assertIn(f"takes {text}.", " ".join(readme.split()))


if __name__ == "__main__":
    unittest.main()
