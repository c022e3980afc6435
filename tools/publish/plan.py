"""Compares a release with a bucket, and decides what to upload. Changes nothing."""

import re
from dataclasses import dataclass

from packaging.version import Version

from release import dist, names

from .target import Target

_ZIP = re.compile(r"coiled-(.+)-[0-9a-f]{16}\.zip")


@dataclass(frozen=True)
class Plan:
    """What a bucket lacks."""

    target: Target
    # Names in releases/VERSION/ and in latest/, in the order of the upload.
    missing: list
    outdated: list
    # Why latest/ stays as it is; empty if the release belongs there.
    kept: str


def plan(target, release, mirror):
    """The plan for a bucket, and the problems that rule it out."""
    present = target.names(names.key(release.version, ""))
    problems = [problem for name in present if (problem := _problem(target, release, name))]
    missing = [name for name in _in_order(release.names()) if name not in present]
    kept, outdated = _latest(target, release, mirror)
    return Plan(target, missing, outdated, kept), problems


def digest(release, name):
    """The SHA-256 of a file of the release, in hexadecimal."""
    return release.digests.get(name) or dist.digest(release.path(name))


def _problem(target, release, name):
    """What is wrong with a published file; empty if it is the release's."""
    key = names.key(release.version, name)
    if name not in release.names():
        return f"{target.url(key)} is not in {release.folder}: another build of this version was published."
    if target.digest(key) != digest(release, name):
        return f"{target.url(key)} has other bytes than {release.path(name)}."
    return ""


def _in_order(found):
    """The templates last: whoever finds a template also finds the zip that it names."""
    return sorted(found, key=lambda name: (_is_template(name), name))


def _is_template(name):
    return name.endswith(".template.yaml")


def _latest(target, release, mirror):
    """Why latest/ stays as it is, and which of its files to replace."""
    present = target.names(names.latest_key(""))
    if kept := _reason_to_keep(target, release, present):
        return kept, []
    # A mirror has no launch page here, because the page's links lead to the buckets of the original.
    page = [] if mirror else [names.PAGE]
    # SHA256SUMS is the last one, because it tells which release is there.
    wanted = [*filter(_is_template, release.names()), *page, names.SUMS]
    changed = (n for n in wanted if n not in present or target.digest(names.latest_key(n)) != digest(release, n))
    return "", list(changed)


def _reason_to_keep(target, release, present):
    """A pre-release, or an old release that is published again, must not replace the newest release."""
    if Version(release.version).is_prerelease:
        return f"{release.version} is a pre-release"
    published = _version(target.read(names.latest_key(names.SUMS))) if names.SUMS in present else ""
    if published and Version(published) > Version(release.version):
        return f"it has {published}, which is newer"
    return ""


def _version(sums):
    """The version of the release to which a SHA256SUMS belongs; empty if it belongs to none."""
    listed, _ = dist.parse_sums(sums.decode(errors="replace"))
    return next((found[1] for found in map(_ZIP.fullmatch, listed) if found), "")
