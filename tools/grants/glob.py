"""Decides whether a string exists that two wildcard patterns both match."""

import re
from functools import lru_cache

ANY, MANY, NOT_SLASH, MANY_NOT_SLASH = "one", "many", "one but not /", "many but not /"
_STARS = (MANY, MANY_NOT_SLASH)
_TOKEN = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)


def overlap(one, other):
    """True if one string matches both patterns. Besides `*` and `?`, variables such as `${Account}` are wildcards."""
    one, other = _tokens(one), _tokens(other)

    @lru_cache(maxsize=None)
    def overlap_from(i, j):
        rest, other_rest = one[i : i + 1], other[j : j + 1]
        if rest and rest[0] in _STARS:
            return overlap_from(i + 1, j) or (_fits(rest[0], other_rest) and overlap_from(i, j + 1))
        if other_rest and other_rest[0] in _STARS:
            return overlap_from(i, j + 1) or (_fits(other_rest[0], rest) and overlap_from(i + 1, j))
        if not rest or not other_rest:
            return rest == other_rest
        return _same(rest[0], other_rest[0]) and overlap_from(i + 1, j + 1)

    return overlap_from(0, 0)


def _tokens(pattern):
    return tuple(token for part in _TOKEN.findall(pattern) for token in _token(part))


def _token(part):
    if part == "${BucketName}":
        # Only the slash tells an S3 bucket from an object in it.
        return NOT_SLASH, MANY_NOT_SLASH
    if len(part) > 1:
        # A variable of the reference stands for at least one character.
        return ANY, MANY
    return ({"*": MANY, "?": ANY}.get(part, part),)


def _fits(star, rest):
    """Whether a star can consume the next token. It can always consume another star, which can be empty."""
    return bool(rest) and (rest[0] in _STARS or _same(ANY if star == MANY else NOT_SLASH, rest[0]))


def _same(one, other):
    if ANY in (one, other):
        return True
    if NOT_SLASH in (one, other):
        return "/" not in (one, other)
    return one == other
