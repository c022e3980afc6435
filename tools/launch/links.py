"""The quick-create link of CloudFormation's console."""

from urllib.parse import quote

from release import names
from release.regions import regions

STACK = "coiled"
# encodeURIComponent leaves these characters as they are, and by default Python's quote does not. The console decodes.
_UNENCODED = "!*'()"


def launch(release, bucket, **parameters):
    """The link that opens the console's form for a release, with the template in the region's own bucket.

    Fills in parameters of the template.

    The form's values follow #. Browsers do not send that part to any server, but they keep it in their history. So it
    must never contain a token.
    """
    template = quote(names.url(bucket, names.key(release, names.TEMPLATE)), safe=_UNENCODED)
    filled_in = "".join(f"&param_{name}={quote(value, safe=_UNENCODED)}" for name, value in parameters.items())
    return (
        f"https://{regions()[bucket.region].console}/cloudformation/home?region={bucket.region}"
        f"#/stacks/create/review?templateURL={template}&stackName={STACK}{filled_in}"
    )
