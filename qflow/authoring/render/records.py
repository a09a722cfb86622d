"""Records as typed Python: what the known services have, and the page that steps pass on."""

from __future__ import annotations

from typing import Final

from qflow.authoring.actions import Fetch, Save

# Objects of Salesforce: name in the query, then field by field the column and its type.
OBJECTS: Final = {
    "contacts": (
        "Contact",
        {"FirstName": "first_name", "LastName": "last_name", "Email": "email", "Phone": "phone"},
    ),
    "leads": (
        "Lead",
        {"FirstName": "first_name", "LastName": "last_name", "Email": "email", "Status": "status"},
    ),
    "accounts": ("Account", {"Name": "name", "Website": "website", "Phone": "phone"}),
    "opportunities": ("Opportunity", {"Name": "name", "StageName": "stage", "Amount": "amount"}),
    "cases": (
        "Case",
        {"CaseNumber": "number", "Subject": "subject", "Status": "status", "Priority": "priority"},
    ),
}
_NUMBERS: Final = ("amount",)
_TICKET: Final = '''class Ticket(BaseModel):
    """What is needed of a ticket."""

    id: int
    subject: str | None
    priority: str | None
    status: str
    created_at: datetime'''


def singular(what: str) -> str:
    """Return the singular of a plural, as English usually has it."""
    if what.endswith("ies"):
        return what[:-3] + "y"
    if what.endswith(("ses", "xes", "ches", "shes")) and what != "cases":
        return what[:-2]
    return what[:-1] if what.endswith("s") and not what.endswith("ss") else what


def record(fetch: Fetch) -> str:
    """Return the type of the records that are read."""
    if fetch.service == "salesforce":
        return OBJECTS[fetch.what][0] if fetch.what in OBJECTS else "Record"
    return "Ticket" if fetch.service == "zendesk" else "dict[str, Any]"


def model(fetch: Fetch) -> str:
    """Return the class of the records that are read, "" where they are plain mappings."""
    if fetch.service == "zendesk":
        return _TICKET
    if fetch.service != "salesforce":
        return ""
    lines = [
        f"class {record(fetch)}(BaseModel):",
        f'    """A record of Salesforce, as its query returns {fetch.what}."""',
        "",
        '    id: str = Field(alias="Id")',
    ]
    for name, column in columns(fetch).items():
        kind = "float" if column in _NUMBERS else "str"
        lines.append(f'    {column}: {kind} | None = Field(None, alias="{name}")')
    return "\n".join([*lines, '    modified: datetime = Field(alias="SystemModstamp")'])


def query(fetch: Fetch) -> str:
    """Return the query of a Salesforce object."""
    wanted = ", ".join(["Id", *columns(fetch), "SystemModstamp"])
    object_name = OBJECTS.get(fetch.what, (singular(fetch.what).title().replace("_", ""),))[0]
    where = " WHERE IsClosed = false" if fetch.only == "open" else ""
    return f"SELECT {wanted} FROM {object_name}{where}"  # noqa: S608  # words with letters only: Name is checked


def columns(fetch: Fetch) -> dict[str, str]:
    """Return the fields of a Salesforce object, besides its id and when it was changed."""
    return OBJECTS[fetch.what][1] if fetch.what in OBJECTS else {"Name": "name"}


def table(fetch: Fetch, target: Save) -> tuple[str, set[str]]:
    """Return the table that records are kept in, and the names that its definition needs."""
    head = [f"{target.what} = Table(", f'    "{target.what}",', "    MetaData(),"]
    if fetch.service == "salesforce":
        kinds = {c: "Float" if c in _NUMBERS else "String(255)" for c in columns(fetch).values()}
        fields = [f'    Column("{name}", {kind}),' for name, kind in kinds.items()]
        last = '    Column("modified", DateTime(timezone=True), nullable=False),'
        first = f'    Column("{target.key}", String(18), primary_key=True),'
        used = {"DateTime", "String"} | ({"Float"} if "Float" in kinds.values() else set())
        lines = [*head, first, *fields, last, ")"]
    elif fetch.service == "zendesk":
        used = {"BigInteger", "DateTime", "String"}
        lines = [
            *head,
            '    Column("id", BigInteger, primary_key=True),',
            *(f'    Column("{name}", String(255)),' for name in ("subject", "priority", "status")),
            '    Column("created_at", DateTime(timezone=True), nullable=False),',
            ")",
        ]
    else:
        used = {"JSON", "String"}
        first = f'    Column("{target.key}", String(255), primary_key=True),'
        lines = [*head, first, '    Column("data", JSON, nullable=False),', ")"]
    return "\n".join(lines), used | {"Column", "MetaData", "Table"}


def row(fetch: Fetch, target: Save) -> str:
    """Return the expression that makes a row of the table of `each` record."""
    if fetch.service in ("salesforce", "zendesk"):
        return "each.model_dump()"
    return f'{{"{target.key}": str(each["{target.key}"]), "data": each}}'


def page(fetch: Fetch) -> str:
    """Return the class of a page of these records."""
    return f'''@dataclass(frozen=True)
class Page:
    """A page of {fetch.what}, and where the next one is: empty after the last."""

    records: list[{record(fetch)}]
    next: str'''
