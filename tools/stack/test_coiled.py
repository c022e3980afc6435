"""Requests to Coiled: where the token is sent, and through which proxy and authority."""

import datetime
import os
import ssl
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import local
from .coiled import Coiled, is_loopback
from .options import authority
from .problem import Problem
from .secret import Token

ME = {("", "/api/v2/user/me"): (200, '{"username": "ada", "default_account": {"slug": "demo"}}')}
PATH = "/api/v1/demo/backend_options/"


class Requests(unittest.TestCase):
    """What Coiled receives, and what its responses mean."""

    def setUp(self):
        # Neither a proxy nor ~/.netrc of whoever runs the tests.
        self.enterContext(mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True))

    def test_the_kind_of_a_token_depends_on_its_hyphen(self):
        for text, header in (("a-b", "ApiToken a-b"), ("ab", "Token ab"), (" ab\n", "Token ab")):
            with local.Local(ME) as server:
                self.assertEqual(("ada", "demo"), Coiled(server.url, Token(text)).user())
            self.assertEqual(header, server.requests[0][2])

    def test_a_redirect_does_not_receive_the_token(self):
        with local.Local(ME) as other, local.Local() as server:
            server.answers["", "/api/v2/user/me"] = (302, "", f"{other.url}/api/v2/user/me")
            with self.assertRaisesRegex(Problem, "status 302"):
                Coiled(server.url, Token("a-b")).user()
        self.assertEqual([], other.requests)

    def test_a_password_in_netrc_does_not_replace_the_token(self):
        with tempfile.TemporaryDirectory() as home, local.Local(ME) as server:
            Path(home, ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
            Path(home, ".netrc").chmod(0o600)
            with mock.patch.dict(os.environ, {"HOME": home}):
                Coiled(server.url, Token("a-b")).user()
        self.assertEqual("ApiToken a-b", server.requests[0][2])

    def test_an_error_does_not_repeat_the_token(self):
        with local.Local({("", "/api/v2/user/me"): (400, "bad token a-b")}) as server:
            with self.assertRaisesRegex(Problem, r"bad token \*\*\*"):
                Coiled(server.url, Token("a-b")).user()

    def test_a_long_error_does_not_end_with_a_part_of_the_token(self):
        token = "canary-of-the-tests"
        with local.Local({("", "/api/v2/user/me"): (400, "x" * 290 + token)}) as server:
            with self.assertRaises(Problem) as caught:
                Coiled(server.url, Token(token)).user()
        self.assertNotIn("canary", caught.exception.what)

    def test_a_page_from_a_proxy_is_not_taken_for_a_response_from_coiled(self):
        with local.Local({("", "/api/v2/user/me"): (200, "<html>Sign in to the network</html>")}) as server:
            with self.assertRaisesRegex(Problem, "did not respond as expected"):
                Coiled(server.url, Token("a-b")).user()

    def test_a_workspace_is_connected_only_with_backend_vm_and_a_provider(self):
        cases = [
            ('{"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": "us-east-2"}}', "us-east-2"),
            ('{"backend": "vm_aws", "options": {"provider_name": "aws", "aws_region_name": "us-east-2"}}', None),
            ('{"backend": "vm", "options": {"aws_region_name": "us-east-2"}}', None),
            ('{"backend": "vm", "options": null}', None),
            ("null", None),
        ]
        for body, expected in cases:
            with local.Local({("", PATH): (200, body)}) as server:
                self.assertEqual(expected, Coiled(server.url, Token("a-b")).connection("demo"), body)
        with local.Local({("", PATH): (404, "")}) as server:
            self.assertIsNone(Coiled(server.url, Token("a-b")).connection("demo"))

    def test_loopback(self):
        for server in ("http://127.0.0.1:80", "localhost:80", "a.localhost"):
            self.assertTrue(is_loopback(server), server)
        for server in ("https://cloud.coiled.io", "https://127.0.0.1.example.com", "https://localhost.example.com"):
            self.assertFalse(is_loopback(server), server)


class Network(unittest.TestCase):
    """A company's proxy and authority."""

    def test_requests_go_through_the_proxy(self):
        url = "http://coiled.example.com/api/v2/user/me"
        with local.Local({("", url): ME["", "/api/v2/user/me"]}) as proxy:
            with mock.patch.dict(os.environ, {"HTTP_PROXY": proxy.url}, clear=True):
                self.assertEqual(("ada", "demo"), Coiled("http://coiled.example.com", Token("a-b")).user())

    def test_a_certificate_of_a_company_is_trusted_only_with_its_authority(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate = _certificate(Path(folder))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
                environment = {name: str(certificate)}
                server = local.Local(ME)
                server.encrypt(context, "localhost")
                with server, mock.patch.dict(os.environ, {}, clear=True):
                    found = authority(environment)
                    self.assertEqual(("ada", "demo"), Coiled(server.url, Token("a-b"), found).user(), name)
                    with self.assertRaisesRegex(Problem, "not trusted"):
                        Coiled(server.url, Token("a-b")).user()
                # botocore reads only this variable, not SSL_CERT_FILE.
                self.assertEqual(str(certificate), environment["REQUESTS_CA_BUNDLE"])


def _certificate(folder):
    """A file with a new self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    text = certificate.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "certificate.pem"
    path.write_bytes(text)
    return path


if __name__ == "__main__":
    unittest.main()
