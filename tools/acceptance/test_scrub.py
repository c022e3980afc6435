"""Secrets in every spelling, and texts that only resemble a secret."""

import base64
import html
import json
import unittest
import urllib.parse

from .scrub import Scrubber

# Characters that each encoding treats differently.
SECRET = 'c4n4ry+of/the~~~"report"&???<it\'s 20=='
# Only of characters that may occur in a token or in AWS credentials.
TOKEN = "canary-of-the-token_0.1~~~2/3+4="
# Not the mask of unknown secrets, which also fits many spellings.
MASK = "(secret)"


def base64_forms(text):
    """A text in base64, at each of the three positions in a group."""
    for before in ("", "a", "ab", "abc"):
        for after in ("", "x", "xy"):
            raw = f"{before}{text}{after}".encode()
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                yield encode(raw).decode()
                yield encode(raw).decode().rstrip("=")


def spellings(text):
    """Every way to write a text that AWS, Coiled, a proxy or a library may use."""
    once = {
        "plain": text,
        "JSON": json.dumps(text)[1:-1],
        "JSON with escaped slashes": json.dumps(text)[1:-1].replace("/", "\\/"),
        "JSON, all escaped": "".join(f"\\u{ord(c):04X}" for c in text),
        "Python": repr(text)[1:-1],
        "Python, all escaped": "".join(f"\\x{ord(c):02x}" for c in text),
        "URL": urllib.parse.quote(text, safe=""),
        "URL, lower case": "".join(f"%{ord(c):02x}" for c in text),
        "path": urllib.parse.quote(text),
        "form": urllib.parse.quote_plus(text),
        "HTML": html.escape(text),
        "HTML, decimal": "".join(f"&#{ord(c)};" for c in text),
        "HTML, hexadecimal": "".join(f"&#x{ord(c):X};" for c in text),
        "hexadecimal": text.encode().hex(),
        "hexadecimal, upper case": text.encode().hex().upper(),
    } | {f"base64 {number}": form for number, form in enumerate(base64_forms(text))}
    twice = {
        "JSON": lambda form: json.dumps(form)[1:-1],
        "URL": lambda form: urllib.parse.quote(form, safe=""),
        "HTML": html.escape,
    }
    yield from once.items()
    for name, form in once.items():
        for outer, encode in twice.items():
            yield f"{name} in {outer}", encode(form)


class Secrets(unittest.TestCase):
    """Secrets that the program knows."""

    def test_a_secret_is_masked_in_every_spelling(self):
        for secret in (SECRET, TOKEN, "short-token"):
            scrubber = Scrubber()
            scrubber.hide(secret, MASK)
            for name, form in spellings(secret):
                with self.subTest(name, secret=secret):
                    scrubbed = scrubber.scrub(f'before {{"a": "{form}"}} after')
                    self.assertIn(MASK, scrubbed)
                    self.assertNotIn(form, scrubbed)
                    self.assertTrue(scrubbed.startswith("before ") and scrubbed.endswith(" after"), scrubbed)

    def test_nothing_of_a_secret_is_left_but_what_base64_shares_with_its_neighbors(self):
        scrubber = Scrubber()
        scrubber.hide(TOKEN, MASK)
        for name, form in spellings(TOKEN):
            if not name.startswith("base64"):
                with self.subTest(name):
                    self.assertEqual(f"<{MASK}>", scrubber.scrub(f"<{form}>"))

    def test_each_secret_is_masked_everywhere(self):
        scrubber = Scrubber()
        scrubber.hide(TOKEN)
        scrubber.hide("another-secret")
        scrubber.hide("111122223333", "(account)")
        scrubber.hide(None)
        text = f"{TOKEN}, another-secret, {TOKEN}\narn:aws:iam::111122223333:user/coiled"
        self.assertEqual("***, ***, ***\narn:aws:iam::(account):user/coiled", scrubber.scrub(text))


class Unknown(unittest.TestCase):
    """Texts that may be a secret, although nobody has named them."""

    def test_what_looks_like_a_secret_access_key_is_masked(self):
        key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        forms = (key, json.dumps(key), urllib.parse.quote(key, safe=""), base64.b64encode(key.encode()).decode())
        for form in forms:
            with self.subTest(form):
                scrubbed = Scrubber().scrub(f"before {form} after")
                self.assertIn("***", scrubbed)
                self.assertNotIn(form.strip('"'), scrubbed)

    def test_of_an_access_key_id_only_the_end_is_shown(self):
        self.assertEqual("AKIA…MPLE, ASIA…WXYZ", Scrubber().scrub("AKIAIOSFODNN7EXAMPLE, ASIAIOSFODNN7EXWXYZ"))

    def test_an_e_mail_address_is_masked(self):
        for text in ("ada@example.com", "ada.l+x@mail.example.co.uk", "ada%40example.com"):
            self.assertEqual("by (e-mail address).", Scrubber().scrub(f"by {text}."))

    def test_other_texts_are_kept(self):
        for text in (
            "1f0e3dad99908345f7439f8ffabdffc4d3b8a1c2",
            "arn:aws:cloudformation:us-east-1:1:stack/coiled-acceptance/12345678-1234-1234-1234-123456789012",
            "/aws/lambda/coiled-acceptance-FunctionLogs-AbCdEfGhIjKl",
            "User is not authorized to perform: iam:CreateUser on resource: user coiled-acceptance",
            "AccessDenied: UpdateFunctionConfiguration",
        ):
            self.assertEqual(text, Scrubber().scrub(text))


if __name__ == "__main__":
    unittest.main()
