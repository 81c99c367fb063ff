"""Which values of a graph each call of a module returned."""

from __future__ import annotations

from types import SimpleNamespace

from pytest_cpuaccel.backends.toolkit.module_map import Made, ModuleMap, stack_of

ROOT = ("", "module")


def test_a_value_is_of_the_calls_that_made_it_and_are_over_where_it_is_used() -> None:
    inner, outer = (*ROOT, "module.block", "module.block.norm"), (*ROOT, "module.block")
    made = [Made("a", inner, (inner,)), Made("b", inner, (outer,)), Made("c", outer, (None,)), Made("d", ROOT, (None,))]
    assert ModuleMap.of(made).values == {"block.norm": ("b",), "block": ("c",)}


def test_calls_of_one_module_are_told_apart() -> None:
    node = SimpleNamespace(meta={"nn_module_stack": {"L": ("", 0), "L_block@1": ("block", 0), "L_n@3": ("block.n", 0)}})
    assert stack_of(node) == ("", "block#2", "block.n#4")
    first, second = (*ROOT, "module.block"), (*ROOT, "module.block#2")
    made = [Made("a", first, (second,)), Made("b", second, (None,))]
    assert ModuleMap.of(made).values == {"block": ("a",), "block#2": ("b",)}


def test_a_node_of_no_module_has_no_stack() -> None:
    assert stack_of(SimpleNamespace(meta={})) == ()
