"""Who can read what was published."""

from release import names
from stack.problem import Problem

from . import parallel

_FIX = (
    "Update the stack of publisher.yaml in this region. A setting of the account or the organization can also block"
    " public access: docs/mirror.md"
)


def check(screen, release, targets, listed):
    """Shows who can read the release. Rejects a bucket that is closed although others are open.

    Only people in that region would notice this mistake.
    """
    key = names.key(release.version, names.TEMPLATE)
    open_to_all = parallel.each(lambda target: target.is_public(key), targets)
    closed = [target.bucket for target, is_open in zip(targets, open_to_all) if not is_open]
    if any(open_to_all) and closed:
        lines = (f"{listed}:{b.line}: {b.name} is not open to everyone, but other buckets are." for b in closed)
        raise Problem("\n".join(lines), _FIX)
    screen.row("readers", "those whom the bucket policies allow" if closed else "everyone")
