"""Imports go down only, and what pytest imports at start-up is light."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_cpuaccel

ROOT = Path(pytest_cpuaccel.__file__).parent
NAME = "pytest_cpuaccel"

HEAVY = {
    "filelock",
    "intel_extension_for_pytorch",
    "jinja2",
    "neural_compressor",
    "nncf",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "optimum",
    "tabulate",
    "torch",
    "torchao",
    "transformers",
}
ALLOWED = {
    "core": ("core",),
    "machine": ("core", "machine"),
    "environments": ("core", "machine", "environments"),
    "measure": ("core", "machine", "measure"),
    "backends.toolkit": ("core", "machine.child_process", "backends.toolkit", "measure.parity", "judge.parity"),
    "backends": ("core", "backends"),
    "builder": ("core", "machine.cpu", "machine.lock_holder", "machine.process", "backends", "builder"),
    "recording": ("core", "backends.toolkit", "builder", "recording"),
    "isolated": ("core", "machine", "backends.toolkit", "builder.export_chain", "isolated"),
    "judge": ("core", "judge"),
    "exchange": ("core", "exchange"),
    "sides": ("core", "machine", "measure.latency", "builder.fingerprint", "exchange", "sides"),
    "baselines": ("core", "machine", "builder", "report", "baselines"),
    "diagnose": ("core", "measure.parity", "backends", "builder", "judge.parity", "diagnose"),
    "evaluation": (
        "core",
        "machine",
        "measure",
        "backends",
        "builder",
        "recording",
        "isolated",
        "judge",
        "baselines",
        "diagnose",
        "exchange",
        "sides",
        "evaluation",
    ),
    "report": ("core", "machine", "report"),
    "tolerances": ("core", "report.whole_file", "tolerances"),
    "bundles": (
        "core",
        "machine.cpu",
        "measure.accuracy",
        "measure.parity",
        "backends",
        "builder",
        "judge",
        "evaluation",
        "report.environment",
        "exchange",
        "bundles",
    ),
    "zoo": ("core", "backends.toolkit", "zoo"),
    "conformance": (
        "core",
        "machine",
        "measure",
        "backends",
        "builder",
        "judge",
        "evaluation",
        "zoo",
        "conformance",
    ),
    "support_matrix": (
        "core",
        "measure",
        "backends",
        "builder",
        "recording",
        "machine.child_process",
        "judge",
        "evaluation",
        "report",
        "zoo",
        "support_matrix",
    ),
    "gate": (
        "core",
        "machine",
        "backends",
        "builder",
        "evaluation",
        "report",
        "tolerances",
        "zoo",
        "gate",
    ),
    "cli": (
        "core",
        "machine",
        "measure",
        "judge",
        "backends",
        "builder",
        "report",
        "baselines",
        "zoo",
        "support_matrix",
        "gate",
        "evaluation",
        "bundles",
        "environments",
        "cli",
    ),
}
"""Layer -> the parts of the package that it may import. The plugin may import everything but the command line."""
AT_START = (
    "plugin.hooks",
    "plugin.fixtures",
    "plugin.hookspecs",
    "plugin.fixture_names",
    "plugin.findings",
    "plugin.marks.names",
    "plugin.options",
    "plugin.config_file",
    "plugin.stash",
    "plugin.effort",
    "plugin.real_output",
    "plugin.reporter",
    "plugin.tracebacks",
    "core.errors",
    "core.frames",
    "core.option_values",
    "",
)
ON_FIRST_USE_OF_BACKENDS = (
    "plugin.selection",
    "plugin.marks.narrowing",
    "plugin.marks.arguments",
    "plugin.marks.budgets",
    "plugin.marks.checks",
    "plugin.parametrize",
    "plugin.added_backends",
    "plugin.unparametrized",
    "plugin.dynamic_fixtures",
    "plugin.evaluation",
    "plugin.evaluated_test",
    "plugin.failures",
    "plugin.progress",
    "plugin.display",
    "plugin.worker_progress",
    "plugin.tolerance_lock",
    "tolerances.tolerance_file",
    "backends.registry",
    "report.header",
)


@functools.cache
def modules() -> list[str]:
    """Names of all modules, without the package's own."""
    found = (path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix("__init__").rstrip(".") for path in found)


@functools.cache
def tree_of(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split(".")) if module else ROOT
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def imports(nodes: Iterator[ast.AST]) -> set[str]:
    """Names of modules imported by these statements; ``from package import module`` counts as the module."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def at_module_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Statements that run on import: none in functions, none for the type checker alone."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            continue
        yield node
        pending += ast.iter_child_nodes(node)


def layer_of(module: str) -> str:
    return max((layer for layer in ALLOWED if f"{module}.".startswith(f"{layer}.")), key=len, default="")


def imported_on_start(module: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (module, what it imports) for a module and all of ours that it imports on import."""
    if module in seen:
        return
    seen.add(module)
    for name in imports(at_module_level(tree_of(module))):
        yield module, name
        for own in (name, name.rpartition(".")[0]):
            inner = own.removeprefix(f"{NAME}.")
            if own.startswith(f"{NAME}.") and inner in modules():
                yield from imported_on_start(inner, seen)


@pytest.mark.parametrize("module", [module for module in modules() if layer_of(module)])
def test_imports_go_down(module: str) -> None:
    allowed = tuple(f"{NAME}.{part}." for part in ALLOWED[layer_of(module)])
    own = {name for name in imports(ast.walk(tree_of(module))) if name.startswith(NAME)}
    assert not {name for name in own if not f"{name}.".startswith(allowed)}


@pytest.mark.parametrize("module", [module for module in modules() if layer_of(module)])
def test_only_the_edge_knows_pytest(module: str) -> None:
    assert "pytest" not in {name.partition(".")[0] for name in imports(ast.walk(tree_of(module)))}


@pytest.mark.parametrize("module", modules())
def test_nothing_private_of_pytest_is_used(module: str) -> None:
    assert not {name for name in imports(ast.walk(tree_of(module))) if name.startswith("_pytest")}


@pytest.mark.parametrize("module", [*AT_START, *ON_FIRST_USE_OF_BACKENDS])
def test_what_every_run_imports_is_light(module: str) -> None:
    found = {(by, name) for by, name in imported_on_start(module, set()) if name.partition(".")[0] in HEAVY}
    assert not found


@pytest.mark.parametrize("module", AT_START)
def test_a_run_that_uses_nothing_imports_only_what_it_must(module: str) -> None:
    own = {name for _, name in imported_on_start(module, set()) if name.startswith(f"{NAME}.")}
    parts = {name.removeprefix(f"{NAME}.") for name in own}
    assert all(any(part == start or part.startswith(f"{start}.") for start in AT_START if start) for part in parts)
