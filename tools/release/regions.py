"""AWS's regions and partitions, as botocore's data lists them."""

import functools
from dataclasses import dataclass

from botocore.loaders import Loader

# botocore's data does not contain these. The isolated partitions have no console that is publicly documented.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


@dataclass(frozen=True)
class Partition:
    """Regions that share accounts. `console` is the end of the console's host names, or "" if it is not public."""

    name: str
    suffix: str
    console: str


@dataclass(frozen=True)
class Region:
    """A region, with the title that the console shows, such as Europe (Frankfurt)."""

    name: str
    title: str
    partition: Partition

    @property
    def console(self):
        """The host name of the region's console, or "" if it is not public."""
        return f"{self.name}.{self.partition.console}" if self.partition.console else ""


@functools.cache
def regions():
    """All regions by name, in the order of their partitions and names."""
    partitions = Loader().load_data("endpoints")["partitions"]
    return {region.name: region for data in partitions for region in _regions(data)}


def _regions(data):
    name = data["partition"]
    partition = Partition(name, data["dnsSuffix"], _CONSOLES.get(name, ""))
    return [Region(region, facts["description"], partition) for region, facts in sorted(data["regions"].items())]
