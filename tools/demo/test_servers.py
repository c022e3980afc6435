"""Starts harmless processes as the demo starts its servers, in checkouts that share .tools."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from . import servers

TOOLS = Path(__file__).resolve().parent.parent
# Leaves a process running, as `make demo KEEP=1` does, and prints its ID.
KEEP = """
import os
from demo import servers
with servers.exclusive("demo") as folder:
    folder.mkdir()
    kept = servers.Servers(folder, None)
    kept._spawn("sleep", ["sleep", "60"], dict(os.environ))
    print(kept.pid("sleep"))
"""
# Runs until its standard input is closed.
RUN = """
import sys
from demo import servers
with servers.exclusive("demo"):
    print("running", flush=True)
    sys.stdin.read()
"""
STOP = ("-m", "demo", "--stop", "--ministack", "none", "--stand-in", "none")


@unittest.skipUnless(Path("/proc/self/stat").exists(), "the demo needs Linux")
class Checkouts(unittest.TestCase):
    """Two checkouts. The .tools of both is a link to the same folder."""

    def setUp(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "shared").mkdir()
        self.one, self.other = folder / "one", folder / "other"
        for checkout in (self.one, self.other):
            checkout.mkdir()
            (checkout / ".tools").symlink_to(folder / "shared")
            (checkout / "policies").symlink_to(TOOLS.parent / "policies")
            self.addCleanup(lambda checkout=checkout: servers.stop(checkout / ".aws-sam/demo"))

    def python(self, checkout, *arguments):
        """Runs Python in a checkout. Returns the exit code and the output."""
        command, environment = [sys.executable, *arguments], os.environ | {"PYTHONPATH": str(TOOLS)}
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def keep(self, checkout):
        """Leaves a process running. Returns its ID, which is also that of its session."""
        return int(self.python(checkout, "-c", KEEP)[1])

    def test_a_demo_stops_only_what_its_own_checkout_started(self):
        session = self.keep(self.one)
        self.assertEqual((0, ""), self.python(self.other, *STOP))
        self.assertEqual([session], servers.members(session))
        self.assertEqual((0, ""), self.python(self.one, *STOP))
        self.assertEqual([], servers.members(session))

    def test_a_second_demo_in_the_same_checkout_does_not_begin(self):
        command, environment = [sys.executable, "-c", RUN], os.environ | {"PYTHONPATH": str(TOOLS)}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=self.one, env=environment, stdin=pipe, stdout=pipe, text=True) as running:
            self.assertEqual("running\n", running.stdout.readline())
            code, printed = self.python(self.one, *STOP)
            self.assertEqual(1, code)
            self.assertIn("make demo is already running in this checkout", printed)
            self.assertEqual((0, ""), self.python(self.other, *STOP))
        self.assertEqual((0, ""), self.python(self.one, *STOP))

    def test_a_process_that_has_the_id_of_an_earlier_server_is_left_alone(self):
        session = self.keep(self.one)
        (self.other / ".aws-sam/demo").mkdir(parents=True)
        (self.other / ".aws-sam/demo/sleep.pid").write_text(f"{session} 1")
        servers.stop(self.other / ".aws-sam/demo")
        self.assertEqual([session], servers.members(session))


if __name__ == "__main__":
    unittest.main()
