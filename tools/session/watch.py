"""Watches all processes of a terminal, as every user of the machine could with `ps`, for secrets."""

import contextlib
import threading
from pathlib import Path

from demo.servers import members

_SECONDS = 0.1


class Watch:
    """While the block runs, notes the names of the processes, and which of them show a secret."""

    def __init__(self, session, secrets):
        self._session = session
        self._secrets = [secret.encode() for secret in secrets]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.names = set()
        self.in_arguments = set()
        self.in_environment = set()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _run(self):
        while not self._done.wait(_SECONDS):
            for pid in members(self._session):
                # A process may end at any time.
                with contextlib.suppress(OSError):
                    self._look(Path("/proc", str(pid)))

    def _look(self, process):
        name = (process / "comm").read_text().strip()
        self.names.add(name)
        for file, found in (("cmdline", self.in_arguments), ("environ", self.in_environment)):
            content = (process / file).read_bytes()
            if any(secret in content for secret in self._secrets):
                found.add(name)
