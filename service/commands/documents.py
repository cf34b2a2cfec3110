"""What the program says about itself to other programs: the OpenAPI document."""

import argparse

from service.api.routes import create_document
from service.commands.session import DONE, say


def openapi(_options: argparse.Namespace) -> int:
    """Print the OpenAPI document as JSON; needs neither settings nor a database."""
    say(create_document().decode())
    return DONE
