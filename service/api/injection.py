"""How a route asks for a part of the gateway: by the parameter's name, handed over as it is."""

from typing import Annotated, TypeAlias, TypeVar

from litestar.di import Dependency
from litestar.params import SkipValidationMarker

T = TypeVar("T")

Injected: TypeAlias = Annotated[T, Dependency(kind="named"), SkipValidationMarker()]
"""`NamedDependency`, without msgspec looking into objects that we have made ourselves."""
