"""The Coiled token. It leaves this process only in requests to Coiled, CloudFormation and Secrets Manager."""


class Token:
    """A token that shows itself only through `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text):
        # Coiled's client also strips the token, and a pasted token often ends with a line break.
        self._text = text.strip()

    def reveal(self):
        """The token itself."""
        return self._text

    def masked_in(self, text):
        """A text without the token, in case a message from AWS or Coiled repeats it."""
        return text.replace(self._text, "***") if self._text else text

    def __repr__(self):
        return "Token(***)"

    __str__ = __repr__
