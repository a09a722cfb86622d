"""What a step of a written workflow does: the closed list of connectors, as data.

Each action names environment variables by its services; `connectors.py` says which.
"""

from __future__ import annotations

import keyword
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Data that is fixed and knows all of its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _identifier(value: str) -> str:
    if keyword.iskeyword(value):
        raise ValueError(f"{value!r} is a word of Python's; take another")
    return value


Name: TypeAlias = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$"), AfterValidator(_identifier)
]
"""A name that can be a column, a table or a part of an environment variable."""

Label: TypeAlias = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w][\w .&'-]*$")]
"""A short name that people read, such as that of an API."""

Text: TypeAlias = Annotated[str, Field(max_length=4_000)]
Source: TypeAlias = Literal["salesforce", "zendesk", "http", "sql", "s3"]
Target: TypeAlias = Literal["sql", "http", "s3"]


class Fetch(Strict):
    """Read records: all pages of them, each page a step of its own."""

    do: Literal["fetch"] = "fetch"
    service: Source
    name: Label = Field(default="API", description="What people call the API; for http only.")
    what: Name = Field(description="What is read, such as contacts; for sql the table.")
    only: Literal["", "open"] = Field(default="", description="Only those that are open.")
    token: bool = Field(default=True, description="Whether an HTTP API wants a token.")


class Save(Strict):
    """Where records go: each is inserted, or takes the place of the one with its key."""

    service: Target
    name: Label = "API"
    what: Name = Field(description="The table, the path or the folder that they go to.")
    key: Name = Field(default="id", description="The field that tells records apart.")
    token: bool = True


class Copy(Strict):
    """Read records and save them, page by page: each page is one step."""

    do: Literal["copy"] = "copy"
    source: Fetch
    target: Save


class Slack(Strict):
    """Post a message to the channel of an incoming webhook."""

    do: Literal["slack"] = "slack"
    channel: Annotated[str, Field(pattern=r"^$|^#[a-z0-9_-]{1,80}$")] = Field(
        default="", description="Such as #ops; empty: the channel of SLACK_WEBHOOK_URL."
    )
    text: Text = Field(description="{field} stands for that field of the event.")
    of: str = Field(
        default="", description="The id of the step whose records it summarises, if any."
    )


class Mail(Strict):
    """Send an e-mail over SMTP."""

    do: Literal["mail"] = "mail"
    to: Annotated[str, Field(pattern=r"^\{[a-z][a-z0-9_]*\}$|^[^@\s{}\"']+@[^@\s{}\"']+$")] = Field(
        description="An address, or {field} for that field of the event."
    )
    subject: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\r\n]+$")]
    text: Text
    of: str = ""


class Call(Strict):
    """POST JSON to an HTTP end point: the event's data, or an earlier step's records."""

    do: Literal["call"] = "call"
    name: Label
    token: bool = False
    of: str = ""


class Put(Strict):
    """Write records, or the event's data, to S3 as one JSON object."""

    do: Literal["put"] = "put"
    folder: Name
    of: str = ""


class Write(Strict):
    """Insert or update one row: fields of the event."""

    do: Literal["write"] = "write"
    table: Name
    key: Name = "id"


class Custom(Strict):
    """Something that no connector does: a function that a person, or a model, writes."""

    do: Literal["custom"] = "custom"
    words: Annotated[str, Field(min_length=1, max_length=200)]
    code: Annotated[str, Field(max_length=20_000)] = Field(
        default="",
        description="The body of the function, where its words were enough to write it. It is given "
        "the event's data as `data`.",
    )


Action: TypeAlias = Annotated[
    Fetch | Copy | Slack | Mail | Call | Put | Write | Custom, Field(discriminator="do")
]
