"""The verdict on kernels: what a census shows, and what it can't tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_cpuaccel.core.budget import KernelsBudget
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.kernels import judge_kernels, reduced_precision

INT8 = Kernel("MatMulInteger", 9, "int8", us=90.0)
FP32 = Kernel("MatMul", 1, "fp32", us=10.0)
UNKNOWN = Kernel("Gemm", 1, us=10.0)
GELU = Kernel("Gelu", 3, "fp32", implementation="jit_avx512", us=900.0)


def judged(*kernels: Kernel, of: Any = None, **asked: Any) -> Verdict:
    return judge_kernels(KernelCensus("a profiler", kernels, **(of or {})), KernelsBudget(**asked), "ort: forward")


def outcome(*kernels: Kernel, of: Any = None, **asked: Any) -> str:
    return judged(*kernels, of=of, **asked).outcome.value


def test_without_a_census_nothing_is_known() -> None:
    verdict = judge_kernels(None, KernelsBudget(no_fallback=True), "ort: forward", "the backend has no census of them")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.sentence.startswith("ort: forward: it is not known which kernels ran")


def test_a_share_is_one_of_the_time_of_matrix_kernels() -> None:
    verdict = judged(INT8, FP32, GELU, int8_share=0.9)
    assert verdict.outcome is Outcome.PASS
    assert verdict.sentence == "ort: forward: 90% of the time of matrix kernels computed in int8, budget 90%"
    failed = judged(INT8, FP32, int8_share=0.95)
    assert (failed.outcome, failed.evidence) == (Outcome.FAIL, ("not in int8: MatMul:fp32",))


def test_a_share_is_by_count_where_a_time_is_not_known() -> None:
    verdict = judged(INT8, replace(FP32, us=None), int8_share=0.9)
    assert verdict.outcome is Outcome.PASS
    assert "90% of the matrix kernels, by count as times are not known," in verdict.sentence


def test_a_share_that_hangs_on_unknown_precision_is_inconclusive() -> None:
    assert outcome(INT8, UNKNOWN, int8_share=0.95) == "INCONCLUSIVE"
    assert outcome(INT8, UNKNOWN, int8_share=0.9) == "PASS"
    assert outcome(FP32, UNKNOWN, int8_share=0.6) == "FAIL"


def test_a_share_of_no_matrix_kernel_is_inconclusive() -> None:
    assert outcome(GELU, int8_share=0.9) == outcome(int8_share=0.9) == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"int8_share": 0.5}, "INCONCLUSIVE"),
        ({"no_fallback": True}, "INCONCLUSIVE"),
        ({"contains": ("MatMul",)}, "PASS"),
        ({"contains": ("Conv",)}, "INCONCLUSIVE"),
        ({"absent": ("MatMul",)}, "FAIL"),
        ({"absent": ("Conv",)}, "INCONCLUSIVE"),
    ],
)
def test_an_incomplete_census_proves_only_what_it_saw(asked: Any, found: str) -> None:
    assert outcome(INT8, FP32, of={"is_complete": False}, **asked) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("MatMul*", "PASS"),
        ("jit_*", "PASS"),
        ("MatMul:fp32", "PASS"),
        ("*:int8", "PASS"),
        ("matmul", "FAIL"),
        ("MatMul:bf16", "FAIL"),
        ("Gemm:bf16", "INCONCLUSIVE"),
    ],
)
def test_names_are_those_of_operations_implementations_and_precisions(pattern: str, found: str) -> None:
    assert outcome(INT8, FP32, UNKNOWN, GELU, contains=(pattern,)) == found
    opposite = {"PASS": "FAIL", "FAIL": "PASS"}
    assert outcome(INT8, FP32, UNKNOWN, GELU, absent=(pattern,)) == opposite.get(found, found)


def test_a_census_without_implementations_says_what_names_were_looked_at() -> None:
    assert judged(FP32, absent=("ref*",)).sentence.endswith(
        "by the names of operations: no implementations are known from a profiler"
    )


def test_fallbacks_and_graph_breaks() -> None:
    assert outcome(FP32, no_fallback=True) == "PASS"
    assert judged(FP32, of={"fallbacks": ("Gelu",)}, no_fallback=True).sentence.endswith(
        "1 fallback: Gelu, allowed none"
    )
    assert outcome(FP32, of={"graph_breaks": 0}, max_graph_breaks=0) == "PASS"
    assert outcome(FP32, of={"graph_breaks": 2}, max_graph_breaks=1) == "FAIL"
    assert outcome(FP32, max_graph_breaks=0) == "INCONCLUSIVE"
    assert "nothing is known of graph breaks from " in judged(FP32, max_graph_breaks=0).sentence


def test_the_worst_part_is_the_verdict() -> None:
    verdict = judged(FP32, GELU, contains=("MatMul", "Conv"), max_graph_breaks=0)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.sentence == "ort: forward: no kernel that ran is 'Conv'"


def test_only_matrix_kernels_of_known_precision_contradict_a_claim() -> None:
    bf16 = Kernel("MatMul", 12, "bf16", implementation="brgemm_avx512_bf16")
    assert reduced_precision(KernelCensus("p", (bf16, FP32))) == "12 MatMul in bf16 (brgemm_avx512_bf16)"
    silent = Kernel("Convert", 1, "bf16"), Kernel("MatMul", 1, stored="bf16"), Kernel("MatMul", 1, "int8")
    assert reduced_precision(KernelCensus("p", silent)) == ""
