"""The kernel census of ONNX Runtime, from its profile."""

import pytest

from pytest_cpuaccel.backends.ort_census import kernels
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus


def _event(op: str, us: int, type_: str = "float") -> dict:
    return {"dur": us, "args": {"op_name": op, "input_type_shape": [{type_: [1]}]}}


def test_times_leave_out_the_first_two_calls_and_int8_arithmetic_on_floats_is_told():
    events = [_event("DynamicQuantizeMatMul", us) for us in (900, 500, 7, 8, 9)]
    assert kernels(events) == [Kernel("DynamicQuantizeMatMul", 1, "int8", us=8)]


@pytest.mark.parametrize(
    ("op", "taken", "compute"),
    [
        ("MatMul", "float", "fp32"),
        ("MatMul", "float16", "fp16"),
        ("SkipLayerNormalization", "float16", None),
        ("Cast", "float", None),
        ("MatMulNBits", "float", None),
        ("QLinearMatMul", "uint8", "int8"),
        ("Gather", "int64", None),
    ],
)
def test_a_precision_that_the_profile_does_not_tell_is_not_guessed(op, taken, compute):
    assert [kernel.compute for kernel in kernels([_event(op, 1, taken)] * 5)] == [compute]


def test_calls_that_ran_different_operations_are_not_counted():
    with pytest.raises(BuildError, match="different operations"):
        kernels([_event(op, 1) for op in ("Add", "Add", "Add", "Add", "Mul")])


def test_one_line_tells_counts_precisions_and_fallbacks():
    census = KernelCensus("made up", (Kernel("Add", 1), Kernel("MatMul", 24, "int8", implementation="brgemm", us=9.0)))
    assert census.line == "24 MatMul int8 (brgemm), 1 Add, no fallback"
