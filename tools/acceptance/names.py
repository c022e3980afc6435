"""The names under which the test creates everything."""

from dataclasses import dataclass

from stack import build


@dataclass(frozen=True)
class Names:
    """The names of one run, and where its resources are."""

    stack: str
    workspace: str
    user: str
    path: str = "/"
    # The bucket with the function's code; empty for SAM's bucket.
    bucket: str = ""

    @property
    def policies(self):
        """The names of the user's two policies."""
        return f"{self.user}-setup", f"{self.user}-ongoing"

    @property
    def folder(self):
        """The folder of the function's code in the bucket."""
        return build.folder(self.stack)
