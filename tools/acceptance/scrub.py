"""Removes secrets from a text, however they are spelled in it."""

import base64
import html
import re

_MASK = "***"
# A shorter part of a secret could also occur by chance.
_SHORTEST_BASE64 = 8
# For example a URL in JSON in JSON.
_LAYERS = 4
# An escaped character in JSON, Python, URLs and HTML.
_ESCAPE = re.compile(
    r"\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|%([0-9a-f]{2})|&#x([0-9a-f]{1,5});|&#(\d{1,6});|(&[a-z]+;)|\\(.)", re.IGNORECASE
)

# An access key ID is not secret, but a report needs it only to tell one key from another.
_KEY_ID = re.compile(r"\b(A[KS]IA)[A-Z0-9]{8,124}([A-Z0-9]{4})\b")
_EMAIL = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
# May be a secret that nobody has named: a secret access key has 40 characters of base64 and a session token has more.
_RANDOM = re.compile(r"[A-Za-z0-9+/=%\\]{40,}")


class Scrubber:
    """Masks the secrets that it was given, and everything that looks like a secret."""

    def __init__(self):
        self._masks = {}

    def hide(self, secret, mask=_MASK):
        """Masks a secret from now on, in each spelling."""
        if secret:
            self._masks |= dict.fromkeys(_forms(secret), mask)

    def scrub(self, text):
        """The text without secrets."""
        text = self._without_known(text)
        text = _KEY_ID.sub(r"\1…\2", text)
        text = _EMAIL.sub("(e-mail address)", text)
        return _RANDOM.sub(_mask_if_random, text)

    def _without_known(self, text):
        spans = sorted(self._spans(text))
        kept, end = [], 0
        for start, stop, mask in spans:
            # Several forms of one secret may overlap.
            if start >= end:
                kept += text[end:start], mask
            end = max(end, stop)
        return "".join([*kept, text[end:]])

    def _spans(self, text):
        """Yields the start, the end and the mask of each secret in the text."""
        # For each character, the position in the text of what it was decoded from.
        starts = list(range(len(text) + 1))
        for _ in range(_LAYERS):
            for form, mask in self._masks.items():
                for match in re.finditer(re.escape(form), text):
                    yield starts[match.start()], starts[match.end()], mask
            text, starts = _decoded(text, starts)


def _mask_if_random(match):
    # Without both capital and small letters it is something else, such as the hash of a commit.
    run = match[0]
    return _MASK if run != run.lower() and run != run.upper() else run


def _decoded(text, starts):
    """The text with one layer of escapes decoded."""
    pieces, places, position = [], [], 0
    for match in _ESCAPE.finditer(text):
        pieces += text[position : match.start()], _character(match)
        places += starts[position : match.start()]
        places += [starts[match.start()]] * len(pieces[-1])
        position = match.end()
    return "".join([*pieces, text[position:]]), places + starts[position:]


def _character(match):
    """The character that an escape stands for."""
    *hexadecimal, decimal, entity, other = match.groups()
    digits = next(filter(None, hexadecimal), None)
    if digits:
        return chr(int(digits, 16))
    return chr(int(decimal)) if decimal else html.unescape(entity) if entity else other


def _forms(secret):
    """Yields a secret as text, in a form, in hexadecimal digits and in base64."""
    raw = secret.encode()
    yield from (secret, secret.replace(" ", "+"), raw.hex(), raw.hex().upper())
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            digits = _own_digits(encode(bytes(before) + raw).decode(), before, len(raw))
            if len(digits) >= _SHORTEST_BASE64:
                yield digits


def _own_digits(digits, before, length):
    """The base64 digits that depend only on the secret, if `before` bytes (0, 1 or 2) precede it in its group of 3."""
    digits = digits.rstrip("=")
    # The byte before the secret determines a part of its first digit, and the byte after it a part of its last one.
    first = (0, 2, 3)[before]
    last = len(digits) - 1 if (before + length) % 3 else len(digits)
    return digits[first:last]
