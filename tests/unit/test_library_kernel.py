"""The lines of oneDNN and MKL: which kernel ran, and what it computed in."""

import pytest

from pytest_cpuaccel.backends.toolkit.library_kernel import kernels_in, names
from pytest_cpuaccel.core.isa import widest_named

_MATMUL = "onednn_verbose,v1,primitive,exec,cpu,matmul,{},undef,{},attr-scratchpad:user{},,32x32:32x32,0.03"
_F32 = "src:f32::blocked:ab::f0 wei:f32::blocked:ba::f0 dst:f32::blocked:ab::f0"


@pytest.mark.parametrize(
    ("line", "name", "compute"),
    [
        ("MKL_VERBOSE SGEMM(T,N,32,32,32,0x7f) 7us CNR:OFF", "mkl_sgemm", "fp32"),
        ("MKL_VERBOSE GEMM_BF16BF16F32(T,N,16,16,8) 3us", "mkl_gemm_bf16bf16f32", "bf16"),
        (_MATMUL.format("brg_matmul:avx512_core", _F32, ""), "brg_matmul:avx512_core", "fp32"),
        (
            _MATMUL.format("brg_matmul:avx512_core_bf16", _F32, " attr-fpmath:bf16"),
            "brg_matmul:avx512_core_bf16",
            "bf16",
        ),
        (_MATMUL.format("gemm:jit", _F32, " attr-fpmath:bf16"), "gemm:jit", None),
        (
            _MATMUL.format("brg_matmul:avx512_core_vnni", "src:u8::blocked:ab::f0 wei:s8::blocked:ba::f0", ""),
            "brg_matmul:avx512_core_vnni",
            "int8",
        ),
        (
            "onednn_verbose,exec,cpu,convolution,jit:avx2,forward_training,src_f32::blocked wei_f32::blocked,,,1,1",
            "jit:avx2",
            None,
        ),
    ],
)
def test_a_line_tells_the_kernel_and_a_precision_only_without_doubt(line: str, name: str, compute: str | None) -> None:
    (found,) = kernels_in(line)
    assert (found.name, found.compute) == (name, compute)


def test_new_layouts_and_headers_are_no_kernels() -> None:
    lines = (
        "onednn_verbose,v1,info,cpu,isa:Intel AVX-512\n"
        "MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605\n"
        "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32 dst:f32,,,8x1,0.01\n"
        "something else\n"
    )
    assert names(kernels_in(lines)) is None


def test_the_widest_instructions_are_those_that_a_name_has_a_word_of() -> None:
    assert widest_named(["jit_avx512_f32", "brgemm_avx512_amx_bf16"]) == "amx"
    assert widest_named(["gemm_mlas_f32"]) is None
    assert widest_named(["NO AVX"]) is None
