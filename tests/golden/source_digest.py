"""A digest of the code that an adapter or a stage runs, blind to what cannot change its outputs.

From the class or function of an entry point the digest follows every name to its definition, through imports,
within the packages that are asked for. It covers the syntax trees of those definitions in the order in which
they are reached. It does not see comments, docstrings and imports, nor in which file a definition stands, nor
what definitions and local variables are called: a definition is written as its number in that order, a local
variable as its number in its function. So code may be moved and renamed without a new digest. Nor does it see
how a stage plans its tasks: what that decides is part of their keys.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

Place = tuple[str, str]
"""Module and name of a definition."""


@dataclass(frozen=True)
class Module:
    """The top level of a module: its definitions by name, and what it imports."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name to (module, name in it), or (module, "") where the name is the module itself."""


def digest(target: str, followed: tuple[str, ...]) -> tuple[str, list[str]]:
    """sha256 of the code that "module:name" reaches in the packages `followed`, and its modules."""
    order: dict[Place, int] = {}
    texts: list[str] = []
    module, _, name = target.partition(":")
    start = resolve(module, name, followed)
    assert start is not None, target
    order[start] = 0
    while len(texts) < len(order):
        module, name = list(order)[len(texts)]
        writer = _Writer(module, followed, order)
        texts.append("".join(map(writer.definition, parsed(module).definitions[name])))
    sha256 = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return sha256, sorted({module for module, _ in order})


def resolve(module: str, dotted: str, followed: tuple[str, ...]) -> Place | None:
    """Where the definition stands that `dotted` (`ssim`, `losses.ssim`) means in a module, if followed."""
    name, _, rest = dotted.partition(".")
    if not is_followed(module, followed) or source_of(module) is None:
        return None
    if name in parsed(module).definitions:
        return None if rest else (module, name)
    if name in parsed(module).imports:
        return resolve_import(*parsed(module).imports[name], rest, followed)
    return None


def resolve_import(source: str, name: str, rest: str, followed: tuple[str, ...]) -> Place | None:
    """The same where `from source import name` binds the first part, or `import source` where name is ""."""
    submodule = f"{source}.{name}" if name else source
    if is_followed(submodule, followed) and source_of(submodule) is not None:
        return resolve(submodule, rest, followed) if rest else None
    return None if rest else resolve(source, name, followed)


def is_followed(module: str, followed: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in followed)


@cache
def source_of(name: str) -> Path | None:
    """The file of a module; None where the name is not one, as of a function in a module."""
    package, *parts = name.split(".")
    spec = find_spec(package)
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        for path in (Path(folder, *parts).with_suffix(".py"), Path(folder, *parts, "__init__.py")):
            if path.is_file():
                return path
    return None


@cache
def parsed(module: str) -> Module:
    path = source_of(module)
    assert path is not None, module
    top = Module()
    for statement in ast.parse(path.read_bytes()).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            top.imports.update(bound_by(statement))
            continue
        for name in _bindings(statement):
            top.definitions.setdefault(name, []).append(statement)
    return top


def bound_by(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each name that an import binds, with the module and the name in it ("" for a module itself)."""
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            if alias.asname:
                yield alias.asname, (alias.name, "")
            else:
                yield alias.name.partition(".")[0], (alias.name.partition(".")[0], "")
        else:
            assert statement.level == 0 and statement.module, "relative imports are not followed"
            yield alias.asname or alias.name, (statement.module, alias.name)


def _bindings(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module binds; of an `if` or `try` block, all within it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_UNSEEN = ("ctx", "kind", "type_comment", "type_ignores", "type_params")


class _Writer:
    """Writes definitions as text in which the names of definitions and of local variables are numbers."""

    def __init__(self, module: str, followed: tuple[str, ...], order: dict[Place, int]) -> None:
        self.module = module
        self.followed = followed
        self.order = order
        self.locals: dict[str, str] = {}
        self.imports: dict[str, tuple[str, str]] = {}

    def definition(self, statement: ast.stmt) -> str:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            return self.of(statement.value)
        is_scope = isinstance(statement, (*_FUNCTIONS, ast.ClassDef))
        return self.scope(statement, "") if is_scope else self.of(statement)

    def of(self, node: object) -> str:
        if isinstance(node, list):
            texts = (self.of(item) for item in node if not _is_docstring(item) and not _is_plan(item))
            return f"[{' '.join(filter(None, texts))}]"
        if isinstance(node, ast.Assign) and _is_hint(node):
            return ""
        if isinstance(node, ast.Name | ast.Attribute) and (number := self.number(node)):
            return number
        if isinstance(node, ast.Name):
            return self.locals.get(node.id, node.id)
        if isinstance(node, ast.arg):
            return self.locals.get(node.arg, node.arg) + self.fields(node, without="arg")
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.update(bound_by(node))
            return ""
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            name = getattr(node, "name", "")
            return self.scope(node, self.locals.get(name, name))
        return self.fields(node) if isinstance(node, ast.AST) else repr(node)

    def fields(self, node: ast.AST, without: str = "") -> str:
        """The fields of a node that say something: those that are empty differ between versions of Python."""
        written = [
            f"{name}={self.of(value)}"
            for name, value in ast.iter_fields(node)
            if name not in _UNSEEN and name != without and value not in (None, [])
        ]
        return f"({type(node).__name__} {' '.join(written)})"

    def scope(self, node: ast.AST, name: str) -> str:
        """A class or a function; its local variables by number."""
        outer = dict(self.locals), dict(self.imports)
        for local in _locals(node) if isinstance(node, _FUNCTIONS) else ():
            self.locals.setdefault(local, f"${len(self.locals)}")
        text = f"<{name} {self.fields(node, without='name')}>"
        self.locals, self.imports = outer
        return text

    def number(self, node: ast.expr) -> str | None:
        """What stands for the definition that a dotted name means; None where it means no followed one."""
        dotted = _dotted(node)
        first, _, rest = (dotted or "").partition(".")
        if dotted is None or first in self.locals:
            return None
        if first in self.imports:  # within a function
            place = resolve_import(*self.imports[first], rest, self.followed)
        else:
            place = resolve(self.module, dotted, self.followed)
        return None if place is None else f"@{self.order.setdefault(place, len(self.order))}"


def _locals(function: ast.AST) -> Iterator[str]:
    """What the variables of a function, and of those in it, are called, but for what callers name too."""
    named_by_others = {
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    }
    own: list[str] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.append(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.append(node.name)
        elif isinstance(node, _FUNCTIONS):
            arguments = [argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
            name = getattr(node, "name", "")
            if node is function and (not name.startswith("_") or name.endswith("__")):
                named_by_others.update(arguments)
            own += arguments if node is function else [*arguments, *([name] if name else [])]
    return (name for name in dict.fromkeys(own) if name not in named_by_others)


def _is_hint(statement: ast.Assign) -> bool:
    """Whether this names the modules that a worker imports ahead of time, which may lie anywhere."""
    return [target.id for target in statement.targets if isinstance(target, ast.Name)] == ["imports"]


def _is_plan(statement: object) -> bool:
    """Whether this makes the tasks of a stage: what it decides is in their keys; no run calls it."""
    return (
        isinstance(statement, ast.FunctionDef)
        and statement.name == "task"
        and [decorator.id for decorator in statement.decorator_list if isinstance(decorator, ast.Name)]
        == ["staticmethod"]
    )


def _is_docstring(statement: object) -> bool:
    """Whether this is a text that stands alone, as of a class, a function or the attribute before it."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _dotted(node: object) -> str | None:
    """The text of `a.b.c`; None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (value := _dotted(node.value)) is not None:
        return f"{value}.{node.attr}"
    return None
