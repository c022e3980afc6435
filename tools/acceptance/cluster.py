"""Starts a cluster, in a process of its own with the Python packages of the tests."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from stack.problem import Problem

ROOT = Path(__file__).resolve().parents[2]
_PYTHON = ROOT / ".venv/bin/python"
_CLIENT = Path(__file__).with_name("client.py")
# In seconds. The first cluster of an account waits until Coiled has created its network.
_LONGEST = 30 * 60
# After an interruption, the client deletes the cluster.
_PATIENCE = 3 * 60
_SHOWN = 3_000


def start(server, token, workspace, name, scrub, argv=(_PYTHON, _CLIENT), longest=_LONGEST):
    """Starts a cluster, computes on it, and deletes it. Returns the last line that the client printed."""
    with tempfile.TemporaryDirectory() as nothing:
        process = subprocess.Popen(
            [str(word) for word in (*argv, server, workspace, name)],
            env=_environment(nothing),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal reaches only this program, which then interrupts the client exactly once. A second
            # signal would interrupt the deletion of the cluster.
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(token.reveal(), timeout=longest)
        except subprocess.TimeoutExpired:
            printed = f"{_interrupted(process)}\nThe cluster was not ready after {longest // 60} minutes."
        except KeyboardInterrupt:
            _interrupted(process)
            raise
    # Scrubbed before it is cut, because a part of a secret could not be recognized.
    printed = scrub(printed).strip()
    if process.returncode != 0:
        raise Problem(
            f"Coiled's client exited with {process.returncode}:\n{printed[-_SHOWN:]}",
            "docs/after-deploying.md names the usual causes, such as the vCPU quota.\n"
            f"If the cluster {name} still runs, it stops after 10 idle minutes.",
        )
    return printed.splitlines()[-1]


def _environment(configuration):
    """The client must use neither this person's AWS credentials nor their configuration of Dask."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DASK_"))}
    return kept | {"DASK_CONFIG": configuration}


def _interrupted(process):
    """What the client has printed until it has deleted the cluster."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=_PATIENCE)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]
