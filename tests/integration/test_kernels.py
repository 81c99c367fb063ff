"""What a census of kernels does to a test: the mark, and the claim of fp32."""

from __future__ import annotations

import pytest

from tests.integration.conftest import CONFTEST
from tests.integration.test_marks import marked

CENSUSES = """
from dataclasses import replace
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus

def counting(name, *kernels, base=doubles.TWIN, **facts):
    census = KernelCensus("a profiler", kernels, **facts)
    return replace(base, name=name, count_kernels=lambda subject, folder, method, inputs: census)

def broken(subject, folder, method, inputs):
    raise RuntimeError("the profiler died")

BF16 = Kernel("MatMul", 2, "bf16", implementation="brgemm_bf16", us=30.0)

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return (
        *doubles.BACKENDS,
        counting("fast", Kernel("MatMulInteger", 2, "int8", us=30.0), Kernel("Gelu", 1, "fp32", us=5.0)),
        counting("reduced", BF16),
        counting("reduced-off", BF16, base=doubles.OFF),
        replace(doubles.TWIN, name="broken", count_kernels=broken),
    )

class Autocasting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = models.mlp()

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model(x).float()
"""


@pytest.fixture
def counted(project: pytest.Pytester) -> pytest.Pytester:
    """A project whose backends count made-up kernels."""
    project.makeconftest(f"{CONFTEST}\n{CENSUSES}")
    return project


def run(project: pytest.Pytester, backend: str) -> pytest.RunResult:
    return project.runpytest_inprocess(f"--cpu-backends={backend}", "--cpu-report=r.json")


def test_a_call_is_held_to_the_kernels_that_ran(counted: pytest.Pytester) -> None:
    marked(counted, "kernels(int8_share=0.9, no_fallback=True, contains='MatMulInteger', absent=['Conv*', '*:bf16'])")
    run(counted, "fast").assert_outcomes(passed=1)


def test_a_kernel_that_should_not_run_fails_the_test_by_name(counted: pytest.Pytester) -> None:
    marked(counted, "kernels(absent='Gelu')")
    result = run(counted, "fast")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fast: forward 2x16: 'Gelu' ran and should not: Gelu:fp32", "*FAIL kernels*"])


@pytest.mark.parametrize("backend", ["twin", "broken"])
def test_a_backend_that_tells_no_kernels_is_not_blamed(counted: pytest.Pytester, backend: str) -> None:
    marked(counted, "kernels(no_fallback=True)")
    result = run(counted, backend)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"INCONCLUSIVE *: {backend}: forward 2x16: it is not known which kernels ran*"])
    assert (backend == "broken") == ("RuntimeError: the profiler died" in result.stdout.str())


def test_a_test_that_calls_nothing_fails(counted: pytest.Pytester) -> None:
    marked(counted, "kernels(no_fallback=True)", "pass")
    result = run(counted, "fast")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fast: the test never called the model, so there is nothing to judge"])


def test_a_claim_of_fp32_that_the_kernels_contradict_fails_by_name(counted: pytest.Pytester) -> None:
    marked(counted, "parity")
    result = run(counted, "reduced")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*reduced: forward 2x16: reduced claims fp32 and computed 2 MatMul in bf16 (brgemm_bf16)",
            "*by its answer alone PASS: *",
        ]
    )


def test_a_wrong_answer_names_the_precision_as_its_cause(counted: pytest.Pytester) -> None:
    marked(counted, "parity")
    result = run(counted, "reduced-off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*hint: reduced-off claims fp32 and computed 2 MatMul in bf16 (brgemm_bf16)"])


def test_a_model_that_computes_in_bf16_itself_is_not_held_to_fp32(counted: pytest.Pytester) -> None:
    counted.makeconftest(f"{CONFTEST.replace('models.mlp()', 'Autocasting().eval()')}\n{CENSUSES}")
    marked(counted, "parity")
    result = run(counted, "reduced")
    result.assert_outcomes(passed=1)
    assert "claims fp32" not in result.stdout.str()


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("kernels()", "@kernels allows nothing yet; write int8_share=0.9 or no_fallback=True"),
        ("kernels(int8_share=90)", "(int8_share=): 90 is outside [0, 1]; write 0.9 for 90 %"),
        ("kernels(no_fallback=False)", "(no_fallback=): False claims nothing; write True, or leave it out"),
        ("kernels(no_fallback='yes')", "(no_fallback=): 'yes' claims nothing; write True"),
        ("kernels(max_graph_breaks=0.5)", "(max_graph_breaks=): 0.5 is not a whole number; write 0"),
        ("kernels(contains=3)", '(contains=): 3 is not the name of a kernel; write "MatMul" or ["MatMul", "*conv*"]'),
        (
            "kernels(contains=[3])",
            '(contains=): 3 is not the name of a kernel; write "MatMul", a glob, or "MatMul:int8"',
        ),
        ("kernels(absent=[])", '(absent=): [] names no kernel; write "MatMul", or leave it out'),
        ("kernels(contains='a', absent='a')", "@kernels: contains= and absent= both name 'a'; keep one"),
        ("kernels(int8_share=0.9, bf16_share=0.2)", "int8_share=0.9 and bf16_share=0.2 are more than 1 together"),
        ("kernels(fallback=True)", "@kernels takes no 'fallback'; did you mean 'no_fallback'?"),
    ],
)
def test_a_value_without_meaning_ends_the_run(counted: pytest.Pytester, mark: str, words: str) -> None:
    marked(counted, mark)
    result = run(counted, "twin")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()
