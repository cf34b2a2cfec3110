"""Query parameters of Graph: names without regard to case, values as strict as Graph reads them."""

from collections.abc import Mapping, Sequence

from simulator.microsoft.errors import invalid

Query = Mapping[str, Sequence[str]]
SYSTEM = ("$orderby", "$filter", "$select", "$expand", "$search", "$top", "$skip", "$count")


def text(query: Query, name: str) -> str | None:
    found = [values[-1] for key, values in query.items() if key.lower() == name.lower() and values]
    return found[-1] if found else None


def number(query: Query, name: str, default: int, largest: int = 2**31, *, smallest: int = 1) -> int:
    value = text(query, name)
    if value is None:
        return default
    if not value.isdecimal() or not smallest <= int(value) <= largest:
        message = f"The limit of '{largest}' for {name} query has been exceeded, or '{value}' is not a number."
        raise invalid(message, "ErrorInvalidUrlQuery")
    return int(value)


def refuse_all(query: Query, resource: str) -> None:
    """Change tracking knows none of OData's options."""
    sent = {name.lower() for name in query}
    if "$top" in sent:
        raise invalid(
            f"The '$top' parameter is not supported with change tracking over the '{resource}' resource as page size "
            "cannot be guaranteed. Express page size preferences using the Prefer: odata.maxpagesize= header instead.",
            "ErrorInvalidUrlQuery",
        )
    if sent & set(SYSTEM):
        message = (
            f"The following parameters are not supported with change tracking over the '{resource}' resource: "
            "'$orderby, $filter, $select, $expand, $search'."
        )
        raise invalid(message, "ErrorInvalidUrlQuery")


def refuse_others(query: Query, known: set[str]) -> None:
    """What the fake does not do it refuses, rather than answering something else."""
    unknown = {name.lower() for name in query if name.startswith("$")} - known
    if unknown:
        raise invalid(f"The simulator does not know {', '.join(sorted(unknown))} here.", "ErrorInvalidUrlQuery")
