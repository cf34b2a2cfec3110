"""What each provider needs to let us in: one union, tagged by `provider`."""

from typing import Annotated

import msgspec

Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class GoogleCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="provider", tag="google"):
    """An OAuth client of Google's and the refresh token that a user gave to it."""

    client_id: Identifier
    client_secret: Secret
    refresh_token: Secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self.client_id!r}, client_secret=***, refresh_token=***)"


Credentials = GoogleCredentials
