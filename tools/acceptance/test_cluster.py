"""The process that starts a cluster, with a script in the place of Coiled's client."""

import os
import signal
import sys
import unittest
from unittest import mock

from stack.problem import Problem
from stack.secret import Token

from . import cluster

TOKEN = Token("canary-of-the-tests")


def start(script, longest=60):
    """Runs a script as the client."""
    argv = (sys.executable, "-c", script)
    return cluster.start("http://127.0.0.1", TOKEN, "demo", "name", TOKEN.masked_in, argv, longest)


class Client(unittest.TestCase):
    """What the client gets, and how it ends."""

    def test_the_token_comes_only_through_standard_input(self):
        script = "import os, sys; assert 'canary' not in str(sys.argv) + str(os.environ); print(sys.stdin.read()[:6])"
        self.assertEqual("canary", start(script))

    def test_the_client_gets_no_aws_credentials(self):
        script = "import os; print([name for name in os.environ if name.startswith(('AWS_', 'DASK_'))])"
        with mock.patch.dict(os.environ, {"AWS_SECRET_ACCESS_KEY": "secret", "DASK_COILED__TOKEN": "secret"}):
            self.assertEqual("['DASK_CONFIG']", start(script))

    def test_a_failure_shows_what_the_client_printed_without_the_token(self):
        # Only the last 3,000 characters are shown, which begin within the token.
        script = "import sys; print('VcpuLimitExceeded', sys.stdin.read(), 'x' * 2990); sys.exit(3)"
        with self.assertRaises(Problem) as caught:
            start(script)
        self.assertIn("exited with 3", caught.exception.what)
        self.assertIn("***", caught.exception.what)
        self.assertNotIn("tests", caught.exception.what)

    def test_a_client_that_takes_too_long_is_interrupted_once_so_that_it_can_delete_the_cluster(self):
        # The client inherits the mask, so that the signal cannot arrive too early on a busy machine.
        interrupt = {signal.SIGINT}
        self.addCleanup(signal.pthread_sigmask, signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, interrupt))
        script = (
            "import signal\n"
            "try:\n"
            "    print('started')\n"
            "    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})\n"
            "    signal.pause()\n"
            "finally:\n"
            "    print('deleted')\n"
        )
        with self.assertRaisesRegex(Problem, "(?s)started.*deleted.*not ready after 0 minutes"):
            start(script, longest=1)


if __name__ == "__main__":
    unittest.main()
