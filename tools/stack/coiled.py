"""Requests to Coiled: whose token it is, and whether a workspace is connected."""

import contextlib
import ipaddress
import re
import urllib.parse

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from .problem import Problem

_AGENT = "coiled-aws-stack"
_TIMEOUT = (10, 30)
# urllib3 counts an untrusted certificate as one of the `other` errors. A retry would not make it trusted.
_RETRY = Retry(total=3, other=0, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), raise_on_status=False)


class _Header(requests.auth.AuthBase):
    """Sets the token's header. Without it, requests would prefer a password for the host in ~/.netrc."""

    def __init__(self, token):
        self._token = token

    def __call__(self, request):
        # As in Coiled's own client.
        kind = "ApiToken" if "-" in self._token.reveal() else "Token"
        request.headers["Authorization"] = f"{kind} {self._token.reveal()}"
        return request


class Coiled:
    """A Coiled server and a token."""

    def __init__(self, server, token, authority=""):
        self.server = _url(server)
        self._token = token
        self._http = requests.Session()
        self._http.headers.update({"User-Agent": _AGENT, "Client-Version": _AGENT, "Accept": "application/json"})
        self._http.auth = _Header(token)
        self._verify = authority or True
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, HTTPAdapter(max_retries=_RETRY))

    def user(self):
        """The token's owner: the user's name and default workspace."""
        response = self.get("/api/v2/user/me")
        if response.status_code in (401, 403):
            raise Problem(
                f"Coiled ({self.server}) rejected the token.",
                "Create a new one on the page Profile, API tokens: https://cloud.coiled.io/profile\n"
                "Copy the whole token, and use it on the server that created it.",
            )
        body = self._json(response)
        return body.get("username") or "?", _part(body, "default_account").get("slug") or ""

    def connection(self, workspace):
        """The region of the workspace's connection to an AWS account; None if it is not connected to one."""
        response = self.get(f"/api/v1/{quoted(workspace)}/backend_options/")
        if response.status_code == 404:
            return None
        body = self._json(response)
        options = _part(body, "options")
        # With vm_aws and other backends, clusters run in Coiled's own cloud.
        is_connected = body.get("backend") == "vm" and options.get("provider_name")
        return options.get("aws_region_name") or "?" if is_connected else None

    def get(self, path):
        """The response to a GET request, whatever its status."""
        try:
            # A redirect would send the token to another address.
            return self._http.get(
                self.server + path, timeout=_TIMEOUT, allow_redirects=False, verify=self._verify
            )
        except requests.exceptions.SSLError as error:
            raise Problem(
                f"The certificate of {self.server}, or of a proxy, is not trusted: {_cause(error)}",
                "If your company has its own certificate authority: export SSL_CERT_FILE=/path/to/certificates.pem",
            ) from None
        except requests.exceptions.RequestException as error:
            raise Problem(
                f"Coiled ({self.server}) cannot be reached: {_cause(error)}",
                "Check the network and the variables HTTPS_PROXY and NO_PROXY, or try again later.",
            ) from None

    def _json(self, response):
        """The object in a response. Coiled sends null if there is none."""
        if response.status_code == 200:
            with contextlib.suppress(ValueError):
                body = response.json()
                if body is None or isinstance(body, dict):
                    return body or {}
        # Masked before it is cut, because a part of the token could not be recognized.
        said = " ".join(self._token.masked_in(response.text).split())[:300]
        raise Problem(
            f"Coiled ({self.server}) did not respond as expected: status {response.status_code}. {said}",
            "Check the parameter CoiledServer and your proxy, or try again later.",
        )


def quoted(workspace):
    """A workspace's name as a segment of a path."""
    return urllib.parse.quote(workspace, safe="")


def _part(body, name):
    """An object in a response; empty if there is none."""
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _url(server):
    """The URL as Coiled's client reads it."""
    url = server if re.match(r"https?://", server) else f"http://{server}"
    return url.rstrip("/")


def _cause(error):
    """The innermost cause, because requests wraps it in exceptions that print class names."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def is_loopback(server):
    """Whether a server runs on this machine, as in tests."""
    host = urllib.parse.urlsplit(_url(server)).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
