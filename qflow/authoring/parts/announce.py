"""The place that emits an event for each row that a service adds to a table."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


def as_data(row: Any) -> dict[str, Any]:
    """Return the columns of a mapped object, as an event can carry them."""
    kinds = (date, datetime, Decimal, UUID)
    columns = {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
    return {
        name: str(value) if isinstance(value, kinds) else value for name, value in columns.items()
    }
