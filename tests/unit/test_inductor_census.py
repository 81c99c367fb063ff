"""The kernel census of compiled models, from the code that the compiler wrote."""

import pytest

from pytest_cpuaccel.backends.aoti_census import kernels_of
from pytest_cpuaccel.backends.inductor_census import fused
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.kernel_census import Kernel

_CODE = """
cpp_fused_gelu_0 = async_compile.cpp_pybinding(['float*', 'const int64_t'], r'''
extern "C"  void  kernel(float* in_out_ptr0) {}
''')

cpp_fused_gelu_1 = async_compile.cpp_pybinding(['const bfloat16*', 'float*'], r'''
extern "C"  void  kernel(const bfloat16* in_ptr0, float* out_ptr0) {}
''')

class Runner:
    def call(self, args):
        extern_kernels.addmm(arg1_1, arg2_1, arg0_1, alpha=1, beta=1, out=buf0)
        cpp_fused_gelu_0(buf1)
        cpp_fused_gelu_0(buf2)
        cpp_fused_gelu_1(buf1, buf3)
"""

_PACKAGE = """
extern "C"  void  cpp_fused_gelu_0(float* in_out_ptr0,
                       const int64_t ks0);
extern "C"  void  cpp_fused_gelu_1(const at::BFloat16* in_ptr0,
                       float* out_ptr0);
extern "C"  void  cpp_fused_2(const at::complex<float>* in_ptr0, float* out_ptr0);
CACHE_TORCH_DTYPE(float32);
CACHE_TORCH_DTYPE(int64);
AOTInductorModelRunMultiThreaded(run_impl());
void AOTInductorModel::run_impl(
    AtenTensorHandle* input_handles) {
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_cpu_addmm_out(buf0, a, b, c, 1L, 1L));
    cpp_fused_gelu_0((float*)(buf1.data_ptr()), s0);
    cpp_fused_gelu_1((const at::BFloat16*)(buf1.data_ptr()), (float*)(buf2.data_ptr()));
    cpp_fused_2((const at::complex<float>*)(buf3.data_ptr()), (float*)(buf4.data_ptr()));
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_cpu_addmm_out(buf2, a, b, c, 1L, 1L));
} // AOTInductorModel::run_impl
void other() { cpp_fused_gelu_0(nullptr, 1); }
"""


def test_fused_kernels_are_counted_by_name_and_calls() -> None:
    assert fused([_CODE]) == [Kernel("cpp_fused_gelu", 2, "fp32"), Kernel("cpp_fused_gelu", 1, None)]


def test_a_graph_that_runs_twice_counts_twice() -> None:
    assert [kernel.count for kernel in fused([_CODE, _CODE])] == [4, 2]


def test_a_package_tells_the_operators_that_it_calls() -> None:
    pytest.importorskip("torch")  # whose settings say in what precision a product is computed
    assert kernels_of(_PACKAGE.replace("float32", "bfloat16"))[0] == Kernel("addmm", 2, None)
    assert kernels_of(_PACKAGE)[1:] == [
        Kernel("cpp_fused_gelu", 1, "fp32"),
        Kernel("cpp_fused_gelu", 1, None),
        Kernel("cpp_fused", 1, None),
    ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (_PACKAGE.replace("AOTInductorModel::run_impl", "Model::run"), "has no function that runs the graph"),
        (_PACKAGE.replace("buf1.data_ptr()), s0);", "buf1.data_ptr()), s0); // subgraph: true"), "branches or loops"),
    ],
)
def test_a_package_whose_code_does_not_tell_what_runs_has_no_census(code: str, reason: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(BuildError, match=reason):
        kernels_of(code)
