"""The functions that steps run: one for each action."""

from __future__ import annotations

from dataclasses import dataclass

from qflow.authoring import connectors
from qflow.authoring.actions import Action, Call, Copy, Custom, Fetch, Mail, Put, Slack, Write
from qflow.authoring.render.reading import Module, copy_functions, fetch_function
from qflow.authoring.render.text import call, literal, prose, template


@dataclass(frozen=True)
class Given:
    """What a step's function is given: `data` of the event and, after a fetch, its records."""

    data: str
    records: str = ""
    what: str = ""

    @property
    def is_mapping(self) -> bool:
        """Whether `data` is a plain mapping."""
        return self.data.startswith("dict")

    @property
    def parameters(self) -> str:
        """Its parameters."""
        found = [f"{self.what}: list[{self.records}]"] if self.records else []
        return ", ".join([*found, *([f"data: {self.data}"] if self.data else [])])


def write(module: Module, name: str, action: Action, given: Given) -> None:
    """Write the function of an action."""
    if "Any" in given.parameters:
        module.imports.take("typing", "Any")
    match action:
        case Fetch():
            fetch_function(module, name, action)
        case Copy():
            copy_functions(module, name, action)
        case Slack():
            module.functions.append(_slack(module, name, action, given))
        case Mail():
            module.functions.append(_mail(module, name, action, given))
        case Call():
            module.functions.append(_call(module, name, action, given))
        case Put():
            module.functions.append(_put(module, name, action, given))
        case Write():
            module.functions.append(_write(module, name, action, given))
        case Custom():
            module.functions.append(_custom(module, name, action, given))


def needs_data(action: Action) -> bool:
    """Tell whether an action's function is given the event's data."""
    match action:
        case Fetch() | Copy():
            return False
        case Slack(of=of, text=text):
            return "{" in text or not of
        case Mail(of=of, text=text, subject=subject, to=to):
            return "{" in text + subject + to
        case Call(of=of) | Put(of=of):
            return not of
    return True


def _slack(module: Module, name: str, action: Slack, given: Given) -> str:
    service = module.service(connectors.slack(action.channel))
    where = action.channel or "the channel"
    text = template(action.text, "data", mapping=given.is_mapping)
    lines = [f"async def {name}({given.parameters}) -> None:", f'    """Post to {where}."""']
    if given.records:
        module.roots.add("listed")
        rows = _rows(given)
        lines += [
            *_title(given, text),
            f'    text = f"{{title}}\\n{{listed({rows})}}"',
            *call(4, f"await {service}.post", ['{"text": text}']),
        ]
    else:
        lines += _assigned("text", text)
        lines += call(4, f"await {service}.post", ['{"text": text}'])
    return "\n".join(lines)


def _mail(module: Module, name: str, action: Mail, given: Given) -> str:
    module.roots.add("send")
    field = f'data["{action.to[1:-1]}"]' if given.is_mapping else f"data.{action.to[1:-1]}"
    to = field if action.to.startswith("{") else literal(action.to)
    lines = [
        f"def {name}({given.parameters}) -> None:",
        f'    """Send the mail: {prose(action.subject)}."""',
    ]
    text = template(action.text, "data", mapping=given.is_mapping)
    if given.records:
        module.roots.add("listed")
        lines += [
            *_title(given, text),
            f'    text = f"{{title}}\\n\\n{{listed({_rows(given)})}}\\n"',
        ]
    else:
        lines += _assigned("text", text)
    lines += call(
        4, "send", [to, template(action.subject, "data", mapping=given.is_mapping), "text"]
    )
    return "\n".join(lines)


def _call(module: Module, name: str, action: Call, given: Given) -> str:
    service = module.service(connectors.http(action.name, token=action.token))
    lines = [
        f"async def {name}({given.parameters}) -> None:",
        f'    """Post {given.what or "the data"} to {prose(action.name)}."""',
        *call(4, f"await {service}.post", [_json(given)]),
    ]
    return "\n".join(lines)


def _put(module: Module, name: str, action: Put, given: Given) -> str:
    module.roots.add("put_json")
    module.imports.take("hashlib", "sha256")
    return f'''def {name}({given.parameters}) -> None:
    """Write {given.what or "the data"} to S3 as one object, named for what is in it."""
    value = {_json(given)}
    digest = sha256(repr(value).encode()).hexdigest()[:16]
    put_json(f"{action.folder}/{{digest}}.json", value)'''


def _write(module: Module, name: str, action: Write, given: Given) -> str:
    module.roots.add("write_row")
    lines = [
        f"def {name}({given.parameters}) -> None:",
        f'    """Insert or update the row of {action.table} that has this {action.key}."""',
        *call(4, "write_row", [f'"{action.table}"', _json(given), f'"{action.key}"']),
    ]
    return "\n".join(lines)


def _custom(module: Module, name: str, action: Custom, given: Given) -> str:
    head = [
        f"def {name}({given.parameters}) -> None:",
        f'    """{prose(action.words)[:1].upper()}{prose(action.words)[1:]}."""',
    ]
    if action.code:
        return "\n".join(
            [*head, *("    " + line if line else "" for line in action.code.split("\n"))]
        )
    module.imports.take("qflow", "NonRetriableError")
    said = f"{name} is not written yet: put it into workers/"
    return "\n".join([*head, *call(4, "raise NonRetriableError", [literal(said)])])


def _title(given: Given, text: str) -> list[str]:
    """Return the line that counts records, after the text where there is one."""
    if text == '""':
        return [f'    title = f"{{len({given.what})}} {given.what.replace("_", " ")}"']
    count = f'f"{{len({given.what})}} "'
    return (
        [f"    title = {count} + {text}"]
        if text.startswith('f"')
        else [f'    title = f"{{len({given.what})}} {text[1:-1]}"']
    )


def _assigned(name: str, text: str) -> list[str]:
    """Return the assignment of a text, a line of Python for each of its lines where it is long."""
    if len(text) <= 80:
        return [f"    {name} = {text}"]
    prefix = "f" if text.startswith('f"') else ""
    body = text[len(prefix) + 1 : -1]
    pieces = [piece + "\\n" for piece in body.split("\\n")]
    pieces[-1] = pieces[-1][:-2]
    kept = [piece for piece in pieces if piece]
    if len(kept) < 2:
        return [f"    {name} = {text}"]
    lines = [f'        {prefix if "{" in piece else ""}"{piece}"' for piece in kept]
    return [f"    {name} = (", *lines, "    )"]


def _rows(given: Given) -> str:
    if given.records == "dict[str, Any]":
        return given.what
    return f"[each.model_dump() for each in {given.what}]"


def _json(given: Given) -> str:
    if given.records:
        plain = given.records == "dict[str, Any]"
        return given.what if plain else f'[each.model_dump(mode="json") for each in {given.what}]'
    return "data" if given.data.startswith(("dict", "list")) else 'data.model_dump(mode="json")'


def write_told(module: Module, name: str, action: Slack | Mail) -> None:
    """Write the function that says that a run failed; it is given why."""
    text = template(action.text, "data").removeprefix("f")[1:-1]
    said = f'f"{text}: {{why}}"'
    if isinstance(action, Slack):
        service = module.service(connectors.slack(action.channel))
        sent = call(4, f"await {service}.post", [f'{{"text": {said}}}'])
        head = [f"async def {name}(why: str) -> None:", '    """Post why it failed."""']
    else:
        module.roots.add("send")
        to = literal(action.to)
        sent = call(4, "send", [to, literal(action.subject), said])
        head = [f"def {name}(why: str) -> None:", '    """Send a mail that says why it failed."""']
    module.functions.append("\n".join([*head, *sent]))
