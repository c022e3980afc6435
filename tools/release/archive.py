"""Writes the zip with the function, with the same bytes everywhere."""

import io
import stat
import zipfile

from . import names

# The earliest date that a zip can contain.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def zipped(binary):
    """The zip. The function is stored without compression, because compressed bytes depend on the version of zlib."""
    entry = zipfile.ZipInfo(names.BINARY, _DATE)
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | 0o755) << 16
    entry.compress_type = zipfile.ZIP_STORED
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(entry, binary)
    return content.getvalue()
