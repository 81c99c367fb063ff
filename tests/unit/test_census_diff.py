"""What a difference between two kernel censuses says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cpuaccel.core.census_diff import census_diff, longest
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel


def census(*kernels: Kernel) -> KernelCensus:
    return KernelCensus("a profiler", kernels)


def test_equal_censuses_say_nothing() -> None:
    one = census(Kernel("MatMul", 3, "fp32", us=30.0))
    assert census_diff(one, one) == []


def test_the_operation_that_lost_the_time_is_named() -> None:
    before = census(Kernel("SkipLayerNormalization", 9, us=117.0), Kernel("MatMul", 12, "fp32", us=1000.0))
    after = census(Kernel("SkipLayerNormalization", 9, us=602.0), Kernel("MatMul", 12, "fp32", us=1011.0))
    assert census_diff(before, after) == ["SkipLayerNormalization 9 -> 9: 13 -> 67 us a node, 485 of 496 us lost"]


def test_counts_are_told_without_times() -> None:
    before, after = census(Kernel("Reorder", 6, us=6.0)), census(Kernel("Reorder", 1))
    assert census_diff(before, after) == ["Reorder 6 -> 1"]


def test_times_of_two_machines_are_not_told() -> None:
    before, after = census(Kernel("Gelu", 1, us=6.0)), census(Kernel("Gelu", 1, us=60.0))
    assert census_diff(before, after, with_times=False) == []
    assert census_diff(before, after) == ["Gelu 1 -> 1: 6 -> 60 us a node, 54 of 54 us lost"]


def test_an_operation_that_is_gone_has_no_time_a_node_now() -> None:
    before = census(Kernel("Reorder", 6, us=60.0), Kernel("Conv", 1, "fp32", us=9.0))
    assert census_diff(before, census(Kernel("Conv", 1, "fp32", us=9.0))) == ["Reorder 6 -> 0: 60 of 60 us gained"]


def test_what_gained_while_the_whole_lost_is_told_so() -> None:
    before, after = (
        census(Kernel("A", 1, us=90.0), Kernel("B", 1, us=10.0)),
        census(Kernel("A", 1, us=20.0), Kernel("B", 1, us=200.0)),
    )
    assert census_diff(before, after) == [
        "B 1 -> 1: 10 -> 200 us a node, 190 of 120 us lost",
        "A 1 -> 1: 90 -> 20 us a node, 70 us gained, while all together lost 120 us",
    ]


def test_matmuls_that_left_int8_are_counted_under_any_name() -> None:
    before = census(Kernel("DynamicQuantizeMatMul", 24, "int8"))
    after = census(Kernel("DynamicQuantizeMatMul", 12, "int8"), Kernel("MatMul", 12, "fp32"))
    assert census_diff(before, after)[0] == "int8 matmuls 24 -> 12 (12 now fp32)"


def test_what_became_of_them_is_not_guessed() -> None:
    before = census(Kernel("MatMul", 24, "int8"))
    after = census(Kernel("MatMul", 12, "int8"), Kernel("Gemm", 6, "fp32"))
    assert census_diff(before, after)[0] == "int8 matmuls 24 -> 12"


def test_fallbacks_graph_breaks_and_instructions_are_told() -> None:
    before = replace(census(), fallbacks=("Gelu",), graph_breaks=0, isa="avx512")
    after = replace(census(), fallbacks=(), graph_breaks=2, isa="avx2")
    assert census_diff(before, after) == [
        "fallbacks: Gelu -> none",
        "graph breaks 0 -> 2",
        "vector instructions avx512 -> avx2",
    ]


def test_two_sources_have_different_names() -> None:
    (line,) = census_diff(census(Kernel("MatMul", 1)), replace(census(Kernel("mm", 1)), source="another"))
    assert line == "kernels were counted by a profiler then and by another now, which have different names"


def test_an_incomplete_census_says_so() -> None:
    before = replace(census(Kernel("MatMul", 2)), is_complete=False)
    assert census_diff(before, census(Kernel("MatMul", 1))) == [
        "MatMul 2 -> 1",
        "a profiler may have missed operations",
    ]


def test_the_longest_operations_come_first() -> None:
    found = census(Kernel("A", 1, us=5.0), Kernel("B", 2, us=50.0), Kernel("B", 1, us=1.0), Kernel("C", 4))
    assert longest(found) == "B x3 51 us, A x1 5 us"


@pytest.mark.parametrize(
    "op",
    [
        "MatMul",
        "FusedMatMul",
        "MatMulInteger",
        "DynamicQuantizeMatMul",
        "QLinearMatMul",
        "Gemm",
        "QGemm",
        "Conv",
        "FusedConv",
        "QLinearConv",
        "Einsum",
        "FullyConnected",
        "Convolution",
        "Deconvolution",
        "LSTM",
        "Attention",
        "aten::addmm",
        "aten::mm",
        "aten::bmm",
        "aten::linear",
        "aten::_int_mm",
        "aten::mkldnn_convolution",
        "quantized::linear_dynamic",
        "onednn::qlinear_pointwise",
        "ipex_prepack::mkl_sgemm_run",
        "extern_kernels.addmm",
        "aten::_weight_int8pack_mm",
        "mkldnn_rnn_layer",
        "RNNSeq",
    ],
)
def test_these_are_matrix_kernels(op: str) -> None:
    assert is_matrix_kernel(Kernel(op, 1))


@pytest.mark.parametrize(
    "op",
    [
        "Add",
        "Gelu",
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearAdd",
        "QLinearSoftmax",
        "Convert",
        "ConvertLike",
        "aten::upsample_bilinear2d",
        "aten::mul",
        "aten::max",
        "aten::gather",
        "ReorderInput",
        "LayerNormalization",
        "quantized::linear_prepack",
        "Reduce",
        "aten::comma",
        "aten::addcmul",
    ],
)
def test_these_are_none(op: str) -> None:
    assert not is_matrix_kernel(Kernel(op, 1))
