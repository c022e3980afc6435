"""What the Makefile passes to the command in environment variables."""

from dataclasses import dataclass

from stack.problem import Misuse

_ANSWERS = {"1": True, "yes": True, "true": True, "": False, "0": False, "no": False, "false": False}


@dataclass(frozen=True)
class Options:
    """The list of buckets, and how to publish."""

    buckets: str
    dry_run: bool
    mirror: bool

    @classmethod
    def read(cls, environment):
        """Reads the environment."""
        path = environment.get("BUCKETS", "").strip()
        if not path:
            raise Misuse(
                "BUCKETS=FILE is missing: the list of buckets to publish to.",
                "Each line of the file is REGION BUCKET. publisher.yaml creates such buckets: docs/mirror.md",
            )
        return cls(path, _flag("DRY_RUN", environment), _flag("MIRROR", environment))


def _flag(name, environment):
    value = environment.get(name, "").strip().lower()
    if value not in _ANSWERS:
        raise Misuse(f"{name}={value}: the only value is {name}=1.")
    return _ANSWERS[value]
