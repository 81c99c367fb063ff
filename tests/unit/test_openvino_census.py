"""The kernel census of OpenVINO, from its counters."""

import pytest

from pytest_cpuaccel.backends.openvino_census import Counted, Node, census
from pytest_cpuaccel.core.kernel_census import Kernel


def _counted(*nodes: Node, runs: int = 3, mean_us: float = 4.0, first_us: float = 10.0) -> Counted:
    names = [f"node {place}" for place in range(len(nodes))]
    return Counted(
        dict(zip(names, nodes, strict=True)),
        dict.fromkeys(names, first_us),
        runs,
        dict.fromkeys(names, mean_us),
    )


@pytest.mark.parametrize(
    ("op", "kernel", "compute"),
    [
        ("FullyConnected", "brgemm_avx512_bf16", "bf16"),
        ("FullyConnectedCompressed", "brgemm_avx512_f32", "fp32"),
        ("MatMul", "brgemm_avx512_amx_I8", "int8"),
        ("Softmax", "jit_avx512_f32", "fp32"),
        ("Softmax", "jit_avx512_bf16", None),
        ("Transpose", "unknown_f32", None),
        ("Multiply", "jit_avx512_i32", None),
    ],
)
def test_the_precision_is_the_last_word_of_the_kernel(op: str, kernel: str, compute: str | None) -> None:
    assert [row.compute for row in census([_counted(Node(op, kernel))], 3).kernels] == [compute]


def test_equal_kernels_are_one_row_and_times_leave_out_the_first_run() -> None:
    node = Node("MatMul", "brgemm_avx512_f32", "int8")
    found = census([_counted(node, node)], 3)
    assert found.kernels == (Kernel("MatMul", 2, "fp32", "int8", "brgemm_avx512_f32", us=2.0),)
    assert found.isa == "avx512"


def test_a_plain_loop_for_a_product_is_a_fallback_and_for_a_gather_is_usual() -> None:
    found = census([_counted(Node("MatMul", "ref_any_f32"), Node("Gather", "ref_any_f32"))], 3)
    assert found.fallbacks == ("MatMul (ref_any_f32)",)


def test_a_census_of_the_first_of_several_steps_says_so_and_is_not_complete() -> None:
    node = Node("MatMul", "brgemm_avx512_f32")
    whole = census([_counted(node, runs=2), _counted(node, runs=2)], 2)
    assert (whole.source, whole.is_complete) == ("OpenVINO's counters", True)
    steps = census([_counted(node, runs=8)], 1)
    assert (steps.source, steps.is_complete) == ("OpenVINO's counters, of the first of 8 steps", False)
    assert steps.kernels[0].us is None
    graphs = census([_counted(node, runs=2), _counted(node, runs=8)], 2)
    assert graphs.source.endswith("of the first run of each of 2 graphs, which ran 5 times together")
