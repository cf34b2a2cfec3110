"""What a desk refuses, as problems of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.api.problems import not_found
from service.errors import GatewayError
from webhooks.desk import OutdatedVersion, TooMany, Unavailable, UnknownObject, Unsupported, WrongState


@contextmanager
def told_as_problems() -> Iterator[None]:
    """Around calls of a desk: raises GatewayError 404, 409, 412, 422 or 503 instead of the desk's own exceptions."""
    try:
        yield
    except UnknownObject:
        raise not_found() from None
    except OutdatedVersion as error:
        raise GatewayError(412, "precondition_failed", str(error)) from None
    except WrongState as error:
        raise GatewayError(409, "conflict", str(error)) from None
    except (TooMany, Unsupported) as error:
        raise GatewayError(422, "validation_failed", str(error)) from None
    except Unavailable as error:
        raise GatewayError(503, "unavailable", str(error), headers={"retry-after": "5"}) from None
