"""What no workflow's source may contain, wherever it stands, and what may happen when it is imported.

This is lint: it names what is wrong in code that means well. What code can do is bounded by the sandbox.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.machinery import PathFinder
from typing import Final

from qflow.authoring.finding import Finding, at
from qflow.authoring.names import FunctionNode, dotted, imported

_IMPORTS: Final = frozenset((
    "_ctypes", "builtins", "cffi", "cloudpickle", "code", "codeop", "ctypes", "dill", "gc", "importlib",
    "marshal", "mmap", "multiprocessing", "pickle", "pty", "runpy", "shelve", "signal", "subprocess",
    "sys",
))  # fmt: skip
_CALLS: Final = frozenset((
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "globals", "input", "locals",
    "quit", "setattr", "vars",
))  # fmt: skip
_DESTRUCTIVE: Final = (
    "os.abort", "os.chmod", "os.chown", "os.exec", "os._exit", "os.fork", "os.kill", "os.popen",
    "os.posix_spawn", "os.putenv", "os.remove", "os.removedirs", "os.rename", "os.replace", "os.rmdir",
    "os.setuid", "os.spawn", "os.startfile", "os.system", "os.truncate", "os.unlink", "shutil.move",
    "shutil.rmtree",
)  # fmt: skip
_DUNDERS: Final = frozenset((
    "__all__", "__doc__", "__init__", "__mapper__", "__name__", "__post_init__", "__table__",
    "__tablename__", "__table_args__",
))  # fmt: skip
_HARMLESS: Final = frozenset((
    "App", "collections.Counter", "collections.defaultdict", "collections.namedtuple",
    "contextvars.ContextVar", "dataclasses.dataclass", "dataclasses.field", "datetime.date",
    "datetime.datetime", "datetime.time", "datetime.timedelta", "decimal.Decimal", "dict",
    "enum.auto", "float", "frozenset", "functools.cache", "functools.lru_cache", "functools.partial",
    "int", "len", "list", "logging.getLogger", "pathlib.Path", "range", "re.compile", "set", "sorted",
    "str", "tuple", "typing.NamedTuple", "typing.NewType", "typing.ParamSpec", "typing.TypedDict",
    "typing.TypeVar", "urllib.parse.quote", "urllib.parse.urlencode", "urllib.parse.urljoin", "uuid.UUID",
    "zoneinfo.ZoneInfo",
))  # fmt: skip
_HARMLESS_HOMES: Final = ("qflow.", "pydantic.", "sqlalchemy.", "structlog.get_logger")
_DRIVERS: Final = ("sqlalchemy.create_engine", "sqlalchemy.ext.asyncio.create_async_engine")


def forbidden(tree: ast.Module) -> Iterator[Finding]:
    """Imports, calls and attributes that have no place in a workflow."""
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _forbidden_import(node)
        elif isinstance(node, ast.Call):
            yield from _forbidden_call(node, names)
        elif isinstance(node, ast.Attribute) and _is_dunder(node.attr):
            yield _dunder(node, node.attr)
        elif isinstance(node, ast.Name) and node.id in ("__builtins__", "__loader__", "__spec__"):
            yield _dunder(node, node.id)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and _smuggled(node.value)
        ):
            yield _dunder(node, node.value)


def at_import(tree: ast.Module) -> Iterator[Finding]:
    """Calls and statements that would act when the module is imported."""
    names = imported(tree)
    own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for statement in tree.body:
        if isinstance(statement, ast.For | ast.While | ast.With | ast.Delete | ast.Raise):
            kind = type(statement).__name__.lower()
            yield at(
                statement, "import-time", f"a {kind} statement runs when the module is imported",
                "move it into a step",
            )  # fmt: skip
            continue
        for node in _executed(statement):
            if isinstance(node, ast.Call) and not _is_harmless(node, names, own):
                shown = ast.unparse(node.func)[:60]
                yield at(
                    node, "import-time", f"{shown}(…) is called when the module is imported",
                    "call it in a step; only App(…), decorators and plain values stand outside",
                )  # fmt: skip
            elif isinstance(node, ast.Subscript | ast.Attribute) and _is_environment(node, names):
                yield at(
                    node, "import-time", "the environment is read when the module is imported",
                    "read it in the step that needs it",
                )  # fmt: skip


def missing(tree: ast.Module, path: str, beside: Collection[str] = ()) -> Iterator[Finding]:
    """Imports of modules and public names that do not exist here; files named in `beside` will."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not _exists(alias.name):
                    yield _absent(node, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from _missing_neighbour(node, path, beside)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if not _exists(node.module):
                yield _absent(node, node.module)
            elif node.module == "qflow":
                yield from _missing_public(node)


def _forbidden_import(node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
    homes = (
        [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
    )
    if isinstance(node, ast.ImportFrom) and node.level:
        return
    for home in homes:
        if home.partition(".")[0] in _IMPORTS or home == "qflow.testing.audit":
            yield at(
                node, "forbidden", f"module {home!r} has no place in a workflow",
                "call the service that does this in a step",
            )  # fmt: skip
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        yield at(node, "forbidden", "import * hides where names come from", "import each name")


def _forbidden_call(node: ast.Call, names: Mapping[str, str]) -> Iterator[Finding]:
    name = dotted(node.func, names)
    if name in _CALLS:
        yield at(
            node, "forbidden", f"{name}(…) has no place in a workflow", "write the code itself"
        )
    elif name.startswith(_DESTRUCTIVE):
        yield at(
            node, "forbidden", f"{name}(…) changes the worker's own machine",
            "let the service that owns the data do it",
        )  # fmt: skip
    elif name in ("getattr", "hasattr") and not (
        len(node.args) > 1 and isinstance(node.args[1], ast.Constant | ast.Attribute)
    ):
        yield at(node, "forbidden", f"{name}(…) with a computed name", "write the attribute's name")


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _DUNDERS


def _smuggled(text: str) -> bool:
    return text.isidentifier() and len(text) > 4 and _is_dunder(text) and text != "__main__"


def _dunder(node: ast.AST, name: str) -> Finding:
    return at(node, "forbidden", f"{name} reaches into the interpreter", "use a public attribute")


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that is evaluated when its statement is: bodies of functions and lambdas are not."""
    if isinstance(node, FunctionNode):
        inner = [
            *node.decorator_list,
            *node.args.defaults,
            *(d for d in node.args.kw_defaults if d),
        ]
    elif isinstance(node, ast.Lambda):
        inner = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
    elif isinstance(node, ast.If) and _for_scripts_or_types(node.test):
        inner = []
    else:
        yield node
        inner = list(ast.iter_child_nodes(node))  # type: ignore[arg-type]
        if isinstance(node, ast.AnnAssign):
            inner = [node.value] if node.value else []
    for child in inner:
        yield from _executed(child)


def _for_scripts_or_types(test: ast.expr) -> bool:
    text = ast.unparse(test)
    return text in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")


def _is_harmless(node: ast.Call, names: Mapping[str, str], own: set[str]) -> bool:
    name = dotted(node.func, names)
    last = name.rpartition(".")[2]
    if name in _DRIVERS:
        return True  # a connection is made when it is first used
    if name in _HARMLESS or name.startswith(_HARMLESS_HOMES) or name in own:
        return True
    if name.startswith(".") and last[:1].isupper():
        return True  # a class of the project's own
    if isinstance(node.func, ast.Attribute):
        receiver = dotted(node.func.value, names)
        if last == "function" and receiver:
            return True
        return isinstance(node.func.value, ast.Constant)  # "a b".split()
    return False


def _is_environment(node: ast.Subscript | ast.Attribute, names: Mapping[str, str]) -> bool:
    return isinstance(node, ast.Subscript) and dotted(node.value, names) == "os.environ"


def _exists(module: str) -> bool:
    """Whether a module can be found; nothing is imported to learn that."""
    top, *rest = module.split(".")
    if top in sys.builtin_module_names:
        return True
    try:
        spec = importlib.util.find_spec(top)
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return spec is not None and not rest
            top = f"{top}.{part}"
            spec = PathFinder.find_spec(top, list(spec.submodule_search_locations))
    except (ImportError, ValueError):
        return False
    return spec is not None or module == "os.path"


def _absent(node: ast.AST, module: str) -> Finding:
    return at(
        node, "import-missing", f"there is no module {module!r} here",
        f"install the package that has it, or do without: pip install {module.partition('.')[0]}",
    )  # fmt: skip


def _missing_public(node: ast.ImportFrom) -> Iterator[Finding]:
    import qflow

    for alias in node.names:
        if alias.name not in qflow.__all__ and not _exists(f"qflow.{alias.name}"):
            yield at(
                node, "import-missing", f"qflow has no name {alias.name!r}",
                f"it has {', '.join(qflow.__all__[:12])}, …",
            )  # fmt: skip


def _missing_neighbour(
    node: ast.ImportFrom, path: str, beside: Collection[str]
) -> Iterator[Finding]:
    folder = os.path.dirname(os.path.abspath(path))
    for _ in range(1, node.level):
        folder = os.path.dirname(folder)
    parts = (node.module or "").split(".") if node.module else []
    wanted = [os.path.join(folder, *parts)] if parts else [
        os.path.join(folder, alias.name) for alias in node.names
    ]  # fmt: skip
    for place in wanted:
        made = f"{os.path.basename(place)}.py" in beside
        if not (made or os.path.isfile(f"{place}.py") or os.path.isdir(place)):
            yield at(
                node, "import-missing", f"there is no module {os.path.basename(place)!r} beside this one",
                "create it, or correct the name",
            )  # fmt: skip
