"""What is printed, what a child process inherits, and what is left in a bucket."""

import contextlib
import io
import os
import unittest
from unittest import mock

from . import bucket
from .options import Options
from .problem import Problem
from .screen import Screen
from .secret import Token

REASON = "Tags[0].Value: [red]x[/red] :smile: " + "long " * 500


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self):
        return True


class Output(unittest.TestCase):
    """What Screen prints."""

    def printed(self, environment, out):
        environment = {"TERM": "xterm"} | environment
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            screen = Screen(os.environ)
            screen.mask(Token("a-secret"))
            with screen.waiting("Building"):
                screen.line(REASON, "red")
            screen.row("name", "first\nsecond a-secret", "green")
            screen.problem(Problem("what a-secret", "fix"), "state")
        return out.getvalue()

    def test_without_a_terminal_or_with_no_color_lines_are_plain(self):
        for environment, out in (({}, io.StringIO()), ({"NO_COLOR": "1"}, Terminal()), ({"TERM": "dumb"}, Terminal())):
            lines = self.printed(environment, out).splitlines()
            self.assertEqual(["Building ...", REASON], lines[:2])
            self.assertNotIn("\x1b", "".join(lines))

    def test_a_terminal_has_color(self):
        self.assertIn("\x1b[31m", self.printed({}, Terminal()))

    def test_the_token_is_masked_wherever_it_is_repeated(self):
        self.assertNotIn("a-secret", self.printed({}, io.StringIO()))


class Environment(unittest.TestCase):
    """What a child process would inherit."""

    def test_the_token_is_removed_from_the_environment(self):
        environment = {"COILED_TOKEN": " a-b\n", "SET_TEXT": "Region=us-east-2", "PATH": "/bin"}
        options = Options.read(environment)
        self.assertEqual({"PATH": "/bin"}, environment)
        self.assertEqual("a-b", options.token.reveal())

    def test_commands_name_what_is_not_the_default(self):
        self.assertEqual("make status REGION=us-east-1", Options.read({}).make("status", "us-east-1"))
        other = Options.read({"STACK": "other"})
        self.assertEqual("make delete STACK=other", other.make("delete", ""))


class Code(unittest.TestCase):
    """Code that may belong to something else is left where it is. It is not even looked at."""

    def test_only_the_folder_of_the_stack_in_sams_bucket_is_emptied(self):
        for uri in ("s3://our-bucket/coiled/code/a", "s3://aws-sam-cli-managed-default-samclisourcebucket-a/coiled/b"):
            body = {"Resources": {"Function": {"Properties": {"CodeUri": uri}}}}
            self.assertIn(f"aws s3 rm {uri}", bucket.remove_code(None, "coiled", body))

    def test_a_stack_without_code_leaves_nothing(self):
        self.assertEqual("", bucket.remove_code(None, "coiled", None))


if __name__ == "__main__":
    unittest.main()
