"""What all four commands share: the options, the screen, the account, and what has been done so far."""

import os
from functools import cached_property

from . import coiled, parameters, questions
from .aws import Aws
from .options import authority

NOTHING_YET = "Nothing was built or changed."


class Run:
    """One run of a command."""

    def __init__(self, options, screen):
        self.options = options
        self.screen = screen
        # Printed with each problem, and after Ctrl-C.
        self.situation = NOTHING_YET
        self._authority = authority(os.environ)

    @cached_property
    def aws(self):
        """The AWS account. Its profile is read only when it is needed, so that wrong options are reported first."""
        return Aws(os.environ)

    def make(self, target, **more):
        """The command that runs another target on this stack."""
        return self.options.make(target, self.aws.region, **more)

    def sign_in(self, confirm_region=False):
        """Checks the AWS credentials and the region. Asks for the region if it is unknown or should be confirmed."""
        region = self.options.region or ("" if confirm_region else self.aws.default_region)
        if not region:
            questions.need_region(self.options, self.aws.default_region)
        self.aws.sign_in(region)
        if not region:
            # Asked only now: nobody should answer questions before learning that the session has expired.
            self.aws.sign_in(questions.region(self.screen, self.options, self.aws.default_region))

    def cloudformation(self):
        """A client for CloudFormation in the stack's region."""
        return self.aws.client("cloudformation")

    def coiled(self, server, token):
        """A Coiled server with a token."""
        return coiled.Coiled(server, token, self._authority or self.aws.authority())

    def ask_token(self, server, declared):
        """Asks for the token, and checks its form. `declared` are the template's parameters."""
        token = questions.token(self.screen, self.options, server)
        parameters.check_token(declared, token)
        return token

    def account_name(self):
        """The account's alias and ID, as people know them."""
        alias = self.aws.alias()
        return f"{alias} ({self.aws.account})" if alias else self.aws.account

    def in_aws(self, doing):
        """From here on, CloudFormation works on the stack, whether or not this command runs."""
        self.situation = (
            f"CloudFormation continues {doing} in AWS. It does not need this command.\n"
            f"To see its status: {self.make('status')}"
        )
