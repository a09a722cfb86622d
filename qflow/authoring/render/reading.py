"""The functions that read records and save them, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from qflow.authoring import connectors
from qflow.authoring.actions import Copy, Fetch, Save
from qflow.authoring.render import records
from qflow.authoring.render.source import Imports
from qflow.authoring.render.text import call, literal


@dataclass
class Module:
    """A module as it is written: its imports, what it copies, its definitions in their places."""

    imports: Imports = field(default_factory=Imports)
    roots: set[str] = field(default_factory=set)
    constants: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def model(self, text: str) -> None:
        """Add a class, unless it stands already."""
        if text and text not in self.models:
            self.models.append(text)

    def service(self, service: connectors.Service) -> str:
        """Return the expression of an HTTP service."""
        self.roots.add("Service")
        token = [literal(service.token.name)] if service.token else []
        parts = [literal(service.name), literal(service.address.name), *token]
        return f"Service({', '.join(parts)})"


def fetch_function(module: Module, name: str, fetch: Fetch) -> None:
    """Write the function that reads a page of records."""
    module.imports.take("dataclasses", "dataclass")
    module.imports.take("typing", "Any")
    model = records.model(fetch)
    if model:
        module.imports.take("datetime", "datetime")
        module.imports.take(
            "pydantic", *(["BaseModel", "Field"] if "Field" in model else ["BaseModel"])
        )
    module.model(model)
    module.model(records.page(fetch))
    is_sync = fetch.service in ("sql", "s3")
    which = "open " if fetch.only else ""
    lines = [
        f"{'' if is_sync else 'async '}def {name}(place: str) -> Page:",
        f'    """Return the page of {which}{fetch.what} at `place`, "" for the first."""',
        *_body(module, fetch),
    ]
    module.functions.append("\n".join(lines))


def copy_functions(module: Module, name: str, copy: Copy) -> None:
    """Write the functions that read a page, save it, and do both in one step."""
    fetch, target = copy.source, copy.target
    reader, saver = f"fetch_{fetch.what}", f"save_{target.what}"
    fetch_function(module, reader, fetch)
    read = module.functions.pop()
    module.imports.take("dataclasses", "dataclass")
    module.model(
        f'''@dataclass(frozen=True)
class Copied:
    """How many {fetch.what} a page had, and where the next one is: empty after the last."""

    records: int
    next: str'''
    )
    waits = "" if fetch.service in ("sql", "s3") else "await "
    saved = f"await {saver}(page.records)"
    if target.service != "http":
        module.imports.take("asyncio")
        saved = f"await asyncio.to_thread({saver}, page.records)"
        if not waits:
            saved = f"{saver}(page.records)"
    asynchronous = "async " if "await" in waits + saved else ""
    body = f"page = {waits}{reader}(place)"
    if asynchronous and not waits:
        module.imports.take("asyncio")
        body = f"page = await asyncio.to_thread({reader}, place)"
    if not asynchronous:
        module.imports.modules.discard("asyncio")
    copying = f'''{asynchronous}def {name}(place: str) -> Copied:
    """Read a page and save it; doing it twice changes nothing."""
    {body}
    {saved}
    return Copied(len(page.records), page.next)'''
    module.functions += [copying, read, _saver(module, saver, fetch, target)]


def _body(module: Module, fetch: Fetch) -> list[str]:
    match fetch.service:
        case "salesforce":
            return _salesforce(module, fetch)
        case "zendesk":
            return _zendesk(module, fetch)
        case "sql":
            module.roots |= {"read_rows", "PAGE_ROWS"}
            only = '{"status": "open"}' if fetch.only else "{}"
            return [
                "    after = int(place or 0)",
                f'    rows = read_rows("{fetch.what}", after, {only})',
                '    return Page(rows, str(after + len(rows)) if len(rows) == PAGE_ROWS else "")',
            ]
        case "s3":
            module.roots.add("read_json")
            return [
                f'    found, key = read_json("{fetch.what}", place)',
                "    return Page(found, key)",
            ]
    module.roots |= {"records_of", "next_place"}
    service = module.service(connectors.source(fetch))
    first = f"/{fetch.what}" + ("?status=open" if fetch.only else "")
    return [
        f'    path = place or "{first}"',
        *call(4, f"answer = await {service}.get", ["path"]),
        f'    return Page(records_of(answer, "{fetch.what}"), next_place(answer, path))',
    ]


def _salesforce(module: Module, fetch: Fetch) -> list[str]:
    module.imports.take("urllib.parse", "urlencode")
    service = module.service(connectors.source(fetch))
    query = records.query(fetch)
    module.constants.append(f"QUERY = {literal(query)}")
    module.constants.append(
        "FIRST_PAGE = f\"/services/data/v61.0/query?{urlencode({'q': QUERY})}\""
    )
    kind = records.record(fetch)
    return [
        *call(4, f"answer = await {service}.get", ["place or FIRST_PAGE"]),
        "    body = answer.json()",
        f'    found = [{kind}.model_validate(record) for record in body["records"]]',
        '    return Page(found, "" if body["done"] else body["nextRecordsUrl"])',
    ]


def _zendesk(module: Module, fetch: Fetch) -> list[str]:
    service = module.service(connectors.source(fetch))
    only = "status<solved" if fetch.only else "status<closed"
    return [
        f'    params = {{"query": "{only}", "filter[type]": "ticket", "page[size]": "100"}}',
        "    if place:",
        '        params["page[after]"] = place',
        *call(4, f"answer = await {service}.get", ['"/api/v2/search/export"', "params"]),
        "    body = answer.json()",
        '    found = [Ticket.model_validate(ticket) for ticket in body["results"]]',
        '    more = body["meta"]["has_more"]',
        '    return Page(found, body["meta"]["after_cursor"] if more else "")',
    ]


def _saver(module: Module, name: str, fetch: Fetch, target: Save) -> str:
    kind = records.record(fetch)
    plain = kind == "dict[str, Any]"
    rows = "found" if plain else '[each.model_dump(mode="json") for each in found]'
    if target.service == "sql":
        text, used = records.table(fetch, target)
        module.imports.take("sqlalchemy", *used)
        module.roots.add("upsert")
        module.constants.append(text)
        return f'''def {name}(found: list[{kind}]) -> None:
    """Insert or update {target.what}: all of these, or none."""
    upsert({target.what}, [{records.row(fetch, target)} for each in found])'''
    if target.service == "s3":
        module.roots.add("put_json")
        module.imports.take("hashlib", "sha256")
        return f'''def {name}(found: list[{kind}]) -> None:
    """Write {target.what} as one object, named for what is in it."""
    rows = {rows}
    name = sha256(repr(rows).encode()).hexdigest()[:16]
    put_json(f"{target.what}/{{name}}.json", rows)'''
    service = module.service(connectors.http(target.name, token=target.token))
    return f'''async def {name}(found: list[{kind}]) -> None:
    """Post {target.what} to {target.name}."""
    await {service}.post({rows}, "/{target.what}")'''
