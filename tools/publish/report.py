"""What the command prints about the buckets and the links."""

import launch.links
from release import names
from release.regions import regions


def show(screen, release, plan):
    """Prints what a bucket lacks."""
    missing = [names.key(release.version, name) for name in plan.missing]
    outdated = [names.latest_key(name) for name in plan.outdated]
    name = plan.target.bucket.name
    lines = [f"{name} lacks", *missing, *outdated] if missing or outdated else [f"{name} has all files"]
    if plan.kept:
        lines.append(f"latest/ is left as it is: {plan.kept}")
    screen.row(plan.target.bucket.region, "\n".join(lines))


def links(screen, release, buckets, mirror):
    """Prints the launch link of each region, and the launch page.

    The template names the buckets of the original release, so the links of a mirror also fill in the parameter with the
    bucket. The launch page has links to the original only.
    """
    screen.title("\nLaunch links")
    for bucket in buckets:
        copy = {"CodeS3Bucket": bucket.name} if mirror else {}
        screen.row(bucket.region, launch.links.launch(release.version, bucket, **copy))
    if not mirror:
        screen.title("\nLaunch page")
        screen.line(f"  {names.url(buckets[0], names.latest_key(names.PAGE))}")


def others(screen, buckets):
    """Prints the buckets that this run has left out."""
    if buckets:
        screen.title("\nNot published, because these regions need credentials of another partition")
    for bucket in buckets:
        screen.row(bucket.region, f"{bucket.name} ({regions()[bucket.region].partition.name})")
