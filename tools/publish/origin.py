"""Compares the buckets of the list with those for which make release made the template."""

from samcli.yamlhelper import yaml_parse

from release import names
from stack.problem import Problem

# The mapping in the published template.
_MAPPING = "CodeBuckets"


def check(release, listed, options):
    """Rejects a release whose template names other buckets than the list, unless the list is that of a mirror.

    A published version can never be corrected, so this must not be noticed only by whoever launches the stack.
    """
    compare, fix = (_of_mirror, _NO_MIRROR) if options.mirror else (_own, _MAKE_AGAIN)
    problems = list(compare(buckets_of(release), listed, options.buckets))
    if problems:
        raise Problem("\n".join(problems), fix.format(file=options.buckets))


_MAKE_AGAIN = (
    "Run make release BUCKETS={file}, and then this command again. To copy a release that someone else has published"
    " into your own buckets, add MIRROR=1."
)
_NO_MIRROR = (
    "The list of a mirror names only buckets that the release itself does not use. To publish your own release,"
    " leave out MIRROR=1."
)


def buckets_of(release):
    """The buckets in the release's template by region, without the regions that have none."""
    template = yaml_parse(release.path(names.TEMPLATE).read_text(encoding="utf-8"))
    rows = template.get("Mappings", {}).get(_MAPPING, {})
    return {region: row["Name"] for region, row in rows.items() if row["Name"]}


def _own(known, listed, path):
    for bucket in listed:
        if known.get(bucket.region) != bucket.name:
            found = known.get(bucket.region, "no bucket")
            yield f"{path}:{bucket.line}: the template in dist/ has {found} for {bucket.region}, not {bucket.name}."
    for region in sorted(known.keys() - {bucket.region for bucket in listed}):
        yield f"{path}: {region} is missing. The template in dist/ has the bucket {known[region]} for it."


def _of_mirror(known, listed, path):
    for bucket in listed:
        if bucket.name in known.values():
            yield f"{path}:{bucket.line}: {bucket.name} is a bucket of the release itself."
