"""What Coiled responds about the token and the workspace. Personal data is replaced by its type."""

import json
import re
from dataclasses import dataclass

from stack.coiled import quoted

_SECRET = re.compile(r"secret|token|password|credential|key", re.IGNORECASE)
_MASK = "***"
_LONGEST = 4_000


@dataclass(frozen=True)
class Response:
    """One response. The path has a placeholder for the workspace."""

    path: str
    status: int
    kind: str
    body: str


def about_token(coiled):
    """The responses from which the function learns the token's workspaces. Only their shape is public."""
    return [_ask(coiled, path, "", shape) for path in ("/api/v2/user/me", "/api/v2/user/me/memberships")]


def about_workspace(coiled, workspace):
    """The response from which the function learns whether a workspace is connected."""
    return [_ask(coiled, "/api/v1/{workspace}/backend_options/", workspace, masked)]


def masked(value):
    """A JSON value without what its name calls a secret."""
    if isinstance(value, dict):
        return {name: _MASK if _is_secret(name, each) else masked(each) for name, each in value.items()}
    return [masked(each) for each in value] if isinstance(value, list) else value


def shape(value):
    """A JSON value whose texts and numbers are replaced by their type. A list keeps only its first element."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return value if value is None or isinstance(value, bool) else type(value).__name__


def _is_secret(name, value):
    return _SECRET.search(name) and isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _ask(coiled, path, workspace, show):
    response = coiled.get(path.format(workspace=quoted(workspace)))
    return Response(path, response.status_code, response.headers.get("Content-Type", ""), _body(response, show))


def _body(response, show):
    try:
        return json.dumps(show(response.json()), indent=2, ensure_ascii=False)
    except ValueError:
        # Not from Coiled, but perhaps a proxy's page.
        return response.text[:_LONGEST]
