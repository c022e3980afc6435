"""The launch page: one HTML file that has no script and loads nothing."""

import base64
import hashlib
import sys
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from urllib.parse import quote

from release import buckets as lists
from release import names
from release.regions import regions

from . import links

_FOLDER = Path(__file__).parent

# The regions that most people choose, most used first. The others follow, sorted by title.
_MOST_USED = ("us-east-1", "us-west-2", "us-east-2", "eu-west-1", "eu-central-1", "ap-northeast-1", "ap-southeast-1")
# The heading of a region, by the first word of its name. The page has the headings in this order.
_CONTINENTS = {
    "us": "North America",
    "ca": "North America",
    "mx": "North America",
    "eu": "Europe",
    "ap": "Asia Pacific",
    "sa": "South America",
    "me": "Middle East",
    "il": "Middle East",
    "af": "Africa",
}
# Accounts and consoles of these partitions are separate from all others, so they have their own headings.
_PARTITIONS = {
    "aws-us-gov": "AWS GovCloud (US)",
    "aws-eusc": "European Sovereign Cloud",
    "aws-cn": "China",
}
_HEADINGS = list(dict.fromkeys((*_CONTINENTS.values(), *_PARTITIONS.values())))
# A group with fewer regions than this shares a row with others.
_COLUMNS = 4


def render(release, buckets):
    """The page of a release, with a link for each bucket's region."""
    style = _read("page.css")
    published = _published(buckets)
    # substitute() fails if a placeholder of the page has no value.
    return Template(_read("page.html")).substitute(
        policy=_policy(style),
        icon="data:image/svg+xml," + quote(_read("icon.svg").strip(), safe="/:='"),
        style=style,
        version=escape(release),
        actions=_actions(release, published),
        regions=_regions(release, published),
        files=_files(release, published),
    )


def heading(region):
    """The heading under which the page lists a region."""
    return _PARTITIONS.get(region.partition.name) or _CONTINENTS[region.name.partition("-")[0]]


def _policy(style):
    # No script, no form, and nothing is loaded. `data:` allows the icon. frame-ancestors is left out, because browsers
    # ignore it in a <meta> element and report an error.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _published(buckets):
    """The buckets in the order of the page, each with its region. A region without a public console has no link."""
    pairs = [(regions()[bucket.region], bucket) for bucket in buckets]
    return sorted((pair for pair in pairs if pair[0].console), key=lambda pair: _place(pair[0]))


def _place(region):
    use = _MOST_USED.index(region.name) if region.name in _MOST_USED else len(_MOST_USED)
    return _HEADINGS.index(heading(region)), use, region.title


def _actions(release, published):
    if not published:
        return '<p class="status">This page has no launch links, because the release was built without buckets.</p>'
    region, bucket = published[0]
    first = f'<a class="button" href="{_href(release, bucket)}">Launch in {escape(region.title)}</a>'
    others = '\n<a class="button second" href="#regions">All regions</a>' if len(published) > 1 else ""
    return f'<p class="actions">\n{first}{others}\n</p>'


def _regions(release, published):
    if not published:
        return "<p>There is none yet.</p>"
    groups = groupby(published, key=lambda pair: heading(pair[0]))
    return "\n".join(_group(release, title, list(pairs)) for title, pairs in groups)


def _group(release, title, pairs):
    items = "\n".join(_item(release, region, bucket) for region, bucket in pairs)
    columns = min(len(pairs), _COLUMNS)
    return f'<div class="group of-{columns}">\n<h3>{escape(title)}</h3>\n<ul>\n{items}\n</ul>\n</div>'


def _item(release, region, bucket):
    place = f'<span class="place">{escape(region.title)}</span> <code>{escape(region.name)}</code>'
    return f'<li><a href="{_href(release, bucket)}">{place}</a></li>'


def _href(release, bucket):
    return escape(links.launch(release, bucket))


def _files(release, published):
    """The row that links to the files of this release."""
    if not published:
        return ""
    bucket = published[0][1]
    found = {
        "the template": names.TEMPLATE,
        "checksums of all files": names.SUMS,
        "the components of the function (SBOM)": names.SBOM,
    }
    all_links = ", ".join(
        f'<a href="{escape(names.url(bucket, names.key(release, name)))}">{title}</a>' for title, name in found.items()
    )
    return f"<div>\n<dt>Read before you launch</dt>\n<dd>{all_links}. A published file never changes.</dd>\n</div>"


def _read(name):
    return (_FOLDER / name).read_text(encoding="utf-8")


# For the tests in browser/: python -m launch.page VERSION FILE
if __name__ == "__main__":
    print(render(sys.argv[1], lists.read(sys.argv[2])), end="")
