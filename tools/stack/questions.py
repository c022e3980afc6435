"""The questions that a command asks. It asks them only in a terminal."""

import sys

from rich.prompt import Confirm, Prompt
from rich.text import Text

from .problem import Misuse, Problem
from .secret import Token


def can_ask():
    """Whether a person is there to answer. Questions are printed to standard error."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def need_consent(options):
    """Stops at once if nobody could consent later."""
    if not options.consent and not can_ask():
        raise Misuse("This is not a terminal, so nobody can be asked for consent.", "Add YES=1 to consent.")


def need_token(options):
    """Stops at once if nobody could enter the token later."""
    if options.token is None and not can_ask():
        raise Misuse(
            "The Coiled token is missing, and this is not a terminal, so nobody can be asked for it.",
            "Set the environment variable COILED_TOKEN, or name your own secret: SET=CoiledTokenSecretArn=ARN",
        )


def need_region(options, default):
    """Stops at once if nobody could enter the region later."""
    if not (options.region or default or can_ask()):
        raise Misuse(
            "The region is missing, and this is not a terminal, so nobody can be asked for it.",
            "Add REGION=us-east-2, for example, or set a region in your AWS profile.",
        )


def consent(screen, options, question):
    """Asks once, unless YES=1 was given."""
    if not options.consent and not _ask(Confirm, question, screen, default=False):
        raise Problem("You did not consent.")


def token(screen, options, server):
    """The token, from COILED_TOKEN or from the person."""
    need_token(options)
    # The question names the server. Otherwise a stack could send the token to another server unnoticed.
    place = server.removeprefix("https://")
    found = options.token or Token(_ask(Prompt, f"API token for {place} (hidden)", screen, password=True))
    screen.mask(found)
    return found


def region(screen, options, default):
    """The region: REGION if it is set, otherwise the person's answer.

    With YES=1 or without a terminal, a default region is used without asking.
    """
    need_region(options, default)
    if options.region or default and (options.consent or not can_ask()):
        return options.region or default
    return _ask(Prompt, "AWS region", screen, **({"default": default} if default else {})).strip()


def _ask(kind, question, screen, **options):
    try:
        return kind.ask(Text(question), console=screen.errors, **options)
    except EOFError:
        raise Problem("The input ended before the question was answered.") from None
