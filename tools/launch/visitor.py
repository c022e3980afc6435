"""The person in front of the browser: click.mjs, which drives Chromium."""

import json
import os
import subprocess
from pathlib import Path

from release.regions import regions

from .links import STACK

_SCRIPT = Path(__file__).parent / "browser" / "click.mjs"
# In seconds.
_PATIENCE = 180


class Visitor:
    """Visits a published launch page, and then the stand-in for the console. Keeps everything that was printed."""

    def __init__(self, node, published, aws_url, console_url):
        self._node = node
        region = regions()[published.bucket.region]
        self._task = {
            "page": published.page_url,
            "region": region.name,
            "title": region.title,
            "console": region.console,
            "s3": aws_url,
            "stand_in": console_url,
        }
        self.printed = []

    def launch(self, token, coiled):
        """Clicks on the region, fills in the form and creates the stack. Returns what the console showed."""
        return self._browse({"action": "launch", "name": STACK, "token": token, "coiled": coiled})

    def delete(self, stack_id):
        """Deletes the stack. Returns what the console showed."""
        return self._browse({"action": "delete", "stack": stack_id})

    def _browse(self, task):
        done = subprocess.run(
            [self._node, _SCRIPT],
            # Not on the command line, because the task contains the token.
            input=json.dumps(self._task | task),
            env={name: os.environ[name] for name in ("PATH", "HOME", "SCREENSHOTS") if name in os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        self.printed += [done.stdout, done.stderr]
        return Seen(json.loads(done.stdout or "{}"), done.stderr)


class Seen:
    """What the visitor did, and what the console showed. What the visitor did not get to see is empty."""

    def __init__(self, found, story):
        self.story = story
        self.stack_id = found.get("stack", "")
        self.status = found.get("status", "")
        self.outputs = found.get("outputs", {})
        self.events = found.get("events", [])
        self.problem = found.get("problem", "")
        self.addresses = found.get("addresses", [])
        self.template_url = found.get("template", "")
        self.name = found.get("name", "")
        self.groups = found.get("groups", [])
        self.consents = found.get("consents", [])

    def __str__(self):
        events = "\n".join(" ".join(event) for event in self.events)
        return f"{self.status}\n{self.problem}\n{events}"
