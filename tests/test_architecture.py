"""Holds the rings and the house's measures, by reading the source; when it fails, move the code and not the rule."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("service", "webhooks", "simulator", "migrations")

# Who may import what of ours, by the longest prefix that fits. A ring may always import itself.
MAY_IMPORT = {
    "service": set(),
    "service.errors": set(),
    "service.settings": {"service.errors"},
    "service.observability": set(),
    "service.core": {"service.errors"},
    "service.providers": {"service.core", "service.errors", "service.settings", "service.observability"},
    "service.store": {"service.core", "service.errors", "webhooks", "migrations"},
    "service.flows": {
        "service.core",
        "service.errors",
        "service.settings",
        "service.observability",
        "service.providers",
        "service.store",
        "webhooks",
    },
    "service.api": {
        "service.core",
        "service.errors",
        "service.settings",
        "service.observability",
        "service.providers",
        "service.store",
        "service.flows",
        "webhooks",
    },
    "service.jobs": {"service.observability", "service.store", "service.flows", "webhooks"},
    "service.app": {"service", "webhooks"},
    "service.commands": {"service", "webhooks", "simulator", "migrations"},
    "service.demo": {"service", "simulator"},
    "service.__main__": {"service"},
    "webhooks": set(),
    "simulator": set(),
    "migrations": {"service.settings", "service.store", "webhooks"},
}
OUTERMOST = ("service.app", "service.commands", "service.demo", "service.__main__")
CONTAINER = "service.flows.gateway"
"""What every flow is handed: the only module of flows that other flows may import."""

IMPURE = {
    "time", "random", "secrets", "os", "pathlib", "socket", "subprocess", "threading", "asyncio", "logging", "shutil",
    "tempfile", "http", "httpx", "sqlalchemy", "sqlmodel", "litestar", "anyio", "uuid_utils", "apscheduler",
}  # fmt: skip
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "getenv", "print", "input"}

VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|base|common|misc)($|_|\.)", re.IGNORECASE)
VAGUE_CLASS = re.compile(r"(Utils?|Helper|Manager|Impl)$|^(Base|Abstract)[A-Z]")
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


class Module(NamedTuple):
    name: str
    path: Path
    lines: list[str]
    tree: ast.Module


@cache
def modules() -> list[Module]:
    found = []
    for path in sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py")):
        if path.is_relative_to(ROOT / "migrations" / "versions"):
            continue  # written by Alembic, and never to be changed
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        found.append(Module(name, path, text.splitlines(), ast.parse(text)))
    return found


def ring(name: str) -> str:
    """The longest known prefix: `service.store.tables` belongs to `service.store`."""
    while name not in MAY_IMPORT:
        name = name.rpartition(".")[0]
    return name


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """Every module that is imported, relative names made absolute, with the line."""
    names = {known.name for known in modules()}
    is_package = module.path.name == "__init__.py"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                here = module.name.split(".")
                parent = here[: len(here) - node.level + is_package]
                origin = ".".join([*parent, origin] if origin else parent)
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                yield (whole if whole in names else origin), node.lineno


def our_imports(module: Module) -> Iterator[tuple[str, int]]:
    return ((name, line) for name, line in imports(module) if name.split(".")[0] in OURS)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def place(module: Module, line: int) -> str:
    return f"{module.path.relative_to(ROOT)}:{line}"


def test_there_is_something_to_judge():
    assert len(modules()) > 40
    assert {ring(module.name) for module in modules()} >= {"service.core", "service.store", "webhooks", "simulator"}


def test_an_inner_ring_never_imports_an_outer_one():
    wrong = [
        f"{place(module, line)} {ring(module.name)} imports {name}"
        for module in modules()
        for name, line in our_imports(module)
        if ring(name) != ring(module.name) and not may_import(ring(module.name), name)
    ]
    assert wrong == []


def may_import(importer: str, name: str) -> bool:
    if name == "service":
        return True  # the empty package itself
    if ring(name) in OUTERMOST and importer not in OUTERMOST:
        return False
    return any(name == allowed or name.startswith(f"{allowed}.") for allowed in MAY_IMPORT[importer])


def test_flows_never_import_each_other():
    wrong = [
        f"{place(module, line)} imports {name}"
        for module in modules()
        if module.name.startswith("service.flows.")
        for name, line in our_imports(module)
        if name.startswith("service.flows.") and name != CONTAINER and flow(name) != flow(module.name)
    ]
    assert wrong == []


def flow(name: str) -> str:
    """`service.flows.connect`, also of a module inside, where a flow is a folder."""
    return ".".join(name.split(".")[:3])


def test_the_core_reaches_for_nothing_outside_itself():
    wrong = []
    for module in (module for module in modules() if module.name.startswith("service.core")):
        wrong += [
            f"{place(module, line)} imports {name}" for name, line in imports(module) if name.split(".")[0] in IMPURE
        ]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
                if called in IMPURE_CALLS:
                    wrong.append(f"{place(module, node.lineno)} calls {called}()")
    assert wrong == []


def test_every_module_opens_with_one_sentence_on_what_it_is_for():
    wrong = []
    for module in modules():
        if not module.lines:
            continue
        docstring = ast.get_docstring(module.tree) or ""
        if not docstring.split("\n\n")[0].rstrip().endswith((".", ":")):
            wrong.append(place(module, 1))
    assert wrong == []


def test_files_and_functions_stay_readable():
    wrong = [
        f"{place(module, 1)} {len(module.lines)} lines" for module in modules() if len(module.lines) > LONGEST_FILE
    ]
    for module in modules():
        for function in functions(module):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > LONGEST_FUNCTION:
                wrong.append(f"{place(module, function.lineno)} {function.name}: {length} lines")
    assert wrong == []


def test_an_import_inside_a_function_says_why():
    wrong = [
        place(module, node.lineno)
        for module in modules()
        for function in functions(module)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and not has_reason(module, node.lineno)
    ]
    assert wrong == []


MARKS = re.compile(r"noqa(: *[A-Z]+[0-9]+(, *[A-Z]+[0-9]+)*)?|type: *ignore(\[[a-z-]+\])?")


def has_reason(module: Module, line: int) -> bool:
    """A comment, which is not only for the linter, on a line of the block of imports or above it."""
    at = line - 1
    while module.lines[at].lstrip().startswith(("import ", "from ")):
        if MARKS.sub("", module.lines[at].partition("#")[2]).strip(" #-()"):
            return True
        at -= 1
    return module.lines[at].lstrip().startswith("#")


def test_names_tell_something():
    wrong = [str(module.path.relative_to(ROOT)) for module in modules() if VAGUE.search(module.path.stem)]
    wrong += [
        f"{place(module, node.lineno)} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and VAGUE_CLASS.search(node.name)
    ]
    assert wrong == []


TOP_LEVEL = (
    *OURS, "tests", "benchmarks", "docs", ".ci", "pyproject.toml", "README.md", "Dockerfile", "requirements.lock",
    "CHANGELOG.md", "CONTRIBUTING.md", "compose.yaml", ".gitignore", ".dockerignore",
)  # fmt: skip
REGISTRIES = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com")


def texts() -> Iterator[tuple[Path, str]]:
    for name in TOP_LEVEL:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and "node_modules" not in path.parts:
                yield path, path.read_text(encoding="utf-8", errors="replace")


def test_no_file_names_the_host_of_a_package_registry():
    # A fork behind a mirror must build from the same files.
    assert [str(path.relative_to(ROOT)) for path, text in texts() if REGISTRIES.search(text)] == []


@pytest.mark.parametrize(
    ("importer", "name", "allowed"),
    [
        pytest.param("service.core", "service.store.tables", False, id="core-may-not-know-the-store"),
        pytest.param("service.store", "service.providers.google", False, id="store-may-not-know-providers"),
        pytest.param("service.providers", "service.store.database", False, id="providers-may-not-know-the-store"),
        pytest.param("service.flows", "service.store.database", True, id="flows-may-use-the-store"),
        pytest.param("service.api", "service.app", False, id="nobody-imports-the-root"),
        pytest.param("service.jobs", "service.api.health", False, id="jobs-do-not-know-the-api"),
        pytest.param("webhooks", "service.errors", False, id="webhooks-stand-alone"),
        pytest.param("simulator", "webhooks.signing", False, id="the-simulator-stands-alone"),
        pytest.param("service.app", "service.api", True, id="the-root-knows-all"),
    ],
)
def test_the_table_of_rings_says_what_the_design_says(importer: str, name: str, allowed: bool):
    assert may_import(importer, name) is allowed
