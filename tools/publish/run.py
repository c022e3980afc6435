"""Publishes: first every check of every bucket, then what never changes to all of them, and then latest/."""

import os

from release import buckets, dist, names
from release.regions import regions
from stack.aws import Aws
from stack.problem import Problem

from . import origin, parallel, readers, report
from .plan import digest, plan
from .target import Target

NOTHING_YET = "Nothing was uploaded."
_BROKEN = "The upload had begun. Run the same command again: it uploads only what is missing."
_DONE = "All files were uploaded."
_OTHER_BUCKET = "publisher.yaml creates the buckets: docs/mirror.md"
_OTHER_BYTES = (
    "A published version never changes. Give this release a new version in Cargo.toml, and run make release. Or, if"
    " the published files are the right ones, publish those: docs/mirror.md"
)
_FOLDER = "dist"


class Run:
    """One run of the command."""

    def __init__(self, options, screen):
        self._options = options
        self._screen = screen
        # Printed with each problem, and after Ctrl-C.
        self.situation = NOTHING_YET
        self._listed = buckets.read(options.buckets)
        self._release = dist.read(_FOLDER)

    def publish(self):
        """Publishes the release. With DRY_RUN=1, only says what it would upload."""
        origin.check(self._release, self._listed, self._options)
        aws, mine = self._sign_in()
        self._screen.title(f"Release {self._release.version} ({self._release.zip})")
        self._screen.row("account", aws.account)
        targets = [Target(aws, bucket) for bucket in mine]
        plans = self._plans(targets)
        for each in plans:
            report.show(self._screen, self._release, each)
        if self._options.dry_run:
            self._screen.line(f"\nThis was a dry run. {NOTHING_YET}")
            return
        self._upload(plans)
        readers.check(self._screen, self._release, targets, self._options.buckets)
        report.links(self._screen, self._release, mine, self._options.mirror)
        report.others(self._screen, [bucket for bucket in self._listed if bucket not in mine])

    def _sign_in(self):
        """The account, and the buckets of the list in its partition. Credentials are valid in one partition only."""
        aws = Aws(os.environ)
        home = aws.default_region or self._listed[0].region
        aws.sign_in(home)
        partition = regions()[home].partition
        mine = [bucket for bucket in self._listed if regions()[bucket.region].partition == partition]
        if not mine:
            raise Problem(
                f"{self._options.buckets}: no bucket is in the partition {partition.name}, to which {home} belongs.",
                "Set AWS_REGION to a region of the partition that has the buckets, and choose credentials for it.",
            )
        return aws, mine

    def _plans(self, targets):
        """Checks all buckets, and then what they contain."""
        faults = parallel.each(Target.fault, targets)
        self._reject(zip(targets, ([fault] if fault else [] for fault in faults)), _OTHER_BUCKET)
        found = parallel.each(lambda target: plan(target, self._release, self._options.mirror), targets)
        self._reject(((target, problems) for target, (_, problems) in zip(targets, found)), _OTHER_BYTES)
        return [each for each, _ in found]

    def _reject(self, found, fix):
        """Raises a problem if there are any. Each names the bucket's line in the list."""
        listed = self._options.buckets
        lines = [f"{listed}:{target.bucket.line}: {text}" for target, problems in found for text in problems]
        if lines:
            raise Problem("\n".join(lines), fix)

    def _upload(self, plans):
        """latest/ comes after everything that never changes, so that no region lacks what its page links to."""
        if any(each.missing or each.outdated for each in plans):
            self.situation = _BROKEN
            with self._screen.waiting("Uploading"):
                parallel.each(self._add, plans)
                parallel.each(self._replace, plans)
        self.situation = _DONE

    def _add(self, each):
        for name in each.missing:
            key = names.key(self._release.version, name)
            each.target.add(key, self._release.path(name), digest(self._release, name))

    def _replace(self, each):
        for name in each.outdated:
            each.target.replace(names.latest_key(name), self._release.path(name), digest(self._release, name))
