"""What users get wrong, and what is wrong with their models: each ends in one clear line, without our traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.test_selection import refusal

MODULES = """
import pytest, torch
from torch import nn
from tests import models

X = torch.ones(2, 16)

def SCORE(model, item):
    return float(model(item).sum())

class Random(models.Mlp):
    def forward(self, x):
        return super().forward(x) + torch.rand(())

class NanRows(models.Mlp):
    def forward(self, x):
        return super().forward(x).masked_fill(x[:, :1] > 0, float("nan"))

EXPORTED = torch.export.export(models.mlp(), (X,)).module()

class Wrapped(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def train(self, mode=True):
        self.training = mode
        return self

class Pipeline:
    model = models.mlp()

class Uncopyable(models.Mlp):
    def __deepcopy__(self, memo):
        raise TypeError("holds a socket")
"""


def line_of_failure(project: pytest.Pytester, body: str, *args: str, errors: bool = False) -> str:
    """Run a test whose last line must fail it; return the line it fails with, having seen nothing of ours.

    ``HERE: `` before it stands for the place of that last line below it; evidence, which is indented, is left out.
    """
    file = project.makepyfile(test_it=MODULES + body)
    here = f"{file.name}:{len(file.read_text().splitlines())}"
    result = project.runpytest_inprocess("--cpu-backends=twin", *args)
    result.assert_outcomes(**{"errors" if errors else "failed": 1})
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    printed = result.stdout.str() + result.stderr.str()
    for word in ("Traceback", "pytest_cpuaccel/"):
        assert word not in printed
    start = next(number for number, line in enumerate(result.outlines) if line.startswith("____"))
    end = next(
        number for number, line in enumerate(result.outlines[start:], start) if line.startswith(("====", "----"))
    )
    shown = result.outlines[start + 1 : end]
    lines = [line for line in shown if not line.startswith("  ")]
    assert len(lines) == 1, lines
    return f"HERE: {lines[0]}" if f"  at {here}" in shown else lines[0]


def with_model(expression: str, body: str = "cpu_model(X)", mark: str = "parity") -> str:
    return f"""
@pytest.fixture
def eager_model():
    return {expression}

@pytest.mark.{mark}
def test_it(cpu_model):
    {body}
"""


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            "Random().train()",
            "eager_model: Random is in training mode, where dropout drops and BatchNorm uses the batch; call *",
        ),
        ("models.Mlp().eval().bfloat16()", "eager_model: Mlp has weights in torch.bfloat16; the reference is fp32: *"),
        ("models.Mlp().eval().double()", "eager_model: Mlp has weights in torch.float64; the reference is fp32: *"),
        ("models.Mlp().eval().to('meta')", "eager_model: Mlp is on 'meta'; backends here run on the CPU: .to('cpu')"),
        (
            "EXPORTED",
            "eager_model: it is a module of torch.export, *; give the model that it was exported from, *",
        ),
        (
            "Wrapped(EXPORTED).train(False)",
            "eager_model: 'inner' of Wrapped is a module of torch.export, *",
        ),
        ("models.Mlp", "eager_model: Mlp is a class, not a model; give an instance, Mlp(...).eval()"),
        ("None", "eager_model: None is not a model; give an nn.Module, a folder or a hub id"),
        ("5", "eager_model: int is not a model; give an nn.Module, a folder or a hub id"),
        ("''", "eager_model: '' names no model; give an nn.Module, a folder or a hub id"),
        ("models.mlp().state_dict()", "eager_model: OrderedDict is a state dict, not a model; load it into one *"),
        ("Pipeline()", "eager_model: Pipeline is not a model; give the model in it, its attribute .model"),
        ("'./nowhere'", "eager_model: no folder '*/nowhere'; give a folder that save_pretrained wrote, or a hub id"),
    ],
)
def test_a_model_that_can_be_no_reference(mlp_project: pytest.Pytester, expression: str, words: str) -> None:
    line = line_of_failure(mlp_project, with_model(expression), errors=True)
    pytest.LineMatcher([line]).fnmatch_lines([words])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("cpu_accelerate(5)", "HERE: cpu_accelerate(model): int is not a model; give *"),
        ("cpu_accelerate('./nowhere')", "HERE: cpu_accelerate(model): no folder '*/nowhere'; *"),
        ("cpu_accelerate(models.mlp().train())", "HERE: cpu_accelerate(model): Mlp is in training mode, *"),
        ("cpu_accelerate(models.mlp(), reference=5)", "HERE: cpu_accelerate(reference=): int is not a model; *"),
        ("cpu_accelerate(models.mlp(), calibration=5)", "HERE: cpu_accelerate(calibration=): int is no list of *"),
        ("cpu_accelerate(models.mlp(), calibration=[5])", "HERE: cpu_accelerate(calibration=): item 0 is of type int*"),
        (
            "cpu_accelerate(models.mlp(), reference=cpu_accelerate(models.mlp()))",
            "HERE: cpu_accelerate(reference=): that is a model under a backend already; *",
        ),
    ],
)
def test_a_wrong_argument_of_cpu_accelerate_is_called_by_its_own_name(
    mlp_project: pytest.Pytester, call: str, words: str
) -> None:
    body = f"\ndef test_it(cpu_accelerate):\n    {call}"
    pytest.LineMatcher([line_of_failure(mlp_project, body)]).fnmatch_lines([words])


@pytest.mark.parametrize(
    ("fixture", "words"),
    [
        ("cpu_candidate(): return 5", "cpu_candidate: int is not a model; *"),
        ("cpu_calibration(): return 5", "cpu_calibration: int is no list of inputs; *"),
    ],
)
@pytest.mark.parametrize("taker", ["cpu_model", "score_items"])
def test_a_wrong_value_of_a_fixture_is_called_by_its_name(
    mlp_project: pytest.Pytester, fixture: str, words: str, taker: str
) -> None:
    run = "score_items(lambda model, item: 1.0, [1])" if taker == "score_items" else "pass"
    body = f"\n@pytest.fixture\ndef {fixture}\n\ndef test_it({taker}):\n    {run}"
    line = line_of_failure(mlp_project, body, errors=taker == "cpu_model")
    pytest.LineMatcher([line.removeprefix("HERE: ")]).fnmatch_lines([words])


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("[[1.0] * 16]", "input '0' is a list, no tensor; give torch.as_tensor(...), or what the tokenizer or *"),
        ("'hello'", "input '0' is a str, no tensor; give what the tokenizer returns under return_tensors=\"pt\""),
        ("['hello']", "input '0' is a list, no tensor; give what the tokenizer returns under return_tensors=\"pt\""),
        ("x={'ids': [1]}", "input 'x' is a dict, no tensor; give torch.as_tensor(...), or what the tokenizer or *"),
        ("X.numpy()", "input '0' is a numpy.ndarray, no tensor; give a tensor, torch.as_tensor(...)"),
        ("Image()", "input '0' is an Image, no tensor; give what the processor returns under return_tensors=\"pt\""),
    ],
)
def test_inputs_that_are_no_tensors_are_hinted_at_below_the_models_own_error(
    mlp_project: pytest.Pytester, given: str, hint: str
) -> None:
    image = "class Image:\n    pass\nImage.__module__ = 'PIL.Image'\n"
    mlp_project.makepyfile(MODULES + image + f"\ndef test_it(cpu_model):\n    cpu_model({given})")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *Error: *", f"E  *cpu_model: {hint}"])


def test_an_error_beside_right_inputs_gets_no_hint(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(MODULES + "\ndef test_it(cpu_model):\n    cpu_model(torch.ones(2, 3))")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*no tensor;*")


def test_more_threads_than_usable_cpus_are_questioned_and_change_no_verdict(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(MODULES + "\n@pytest.mark.parity\ndef test_it(cpu_model):\n    cpu_model(X)")
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager", "--cpu-threads=999")
    result.assert_outcomes(passed=1)
    question = "--cpu-threads: 999 threads, but only * usable here; they take turns, so latencies mean little: *"
    result.stdout.fnmatch_lines([f"cpuaccel: {question}", f"note: {question}"])
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager", "--cpu-threads=1")
    result.stdout.no_fnmatch_line("*usable here*")


@pytest.mark.parametrize(
    ("expression", "body", "words"),
    [
        ("Random().eval()", "cpu_model(X)", "eager disagrees with itself by *, between two runs on the same inputs: *"),
        (
            "models.mlp()",
            "cpu_model(X.to('meta'))",
            "HERE: input '0' is on device 'meta'; backends here run on the CPU: .to('cpu')",
        ),
        ("models.mlp()", "cpu_model(X); cpu_model(X.to('meta'))", "HERE: input '0' is on device 'meta'; *"),
        ("Uncopyable().eval()", "cpu_model(X)", "HERE: twin: Uncopyable can't be copied: TypeError: holds a socket"),
    ],
)
def test_a_call_that_has_no_right_answer(mlp_project: pytest.Pytester, expression: str, body: str, words: str) -> None:
    pytest.LineMatcher([line_of_failure(mlp_project, with_model(expression, body))]).fnmatch_lines([words])


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("raising", "HERE: raising: raises where eager does not: RuntimeError: kernel failed"),
        ("refusing", "HERE: refusing: NotImplementedError: no kernel for aten::gelu (at *doubles.py:*)"),
    ],
)
def test_a_backend_that_fails_where_eager_does_not(mlp_project: pytest.Pytester, backend: str, words: str) -> None:
    line = line_of_failure(mlp_project, with_model("models.mlp()"), f"--cpu-backends={backend}")
    pytest.LineMatcher([line]).fnmatch_lines([words])


def test_a_method_that_the_model_lacks_is_missed_in_the_users_line(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(MODULES + with_model("models.mlp()", "cpu_model.generate(X)"))
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">   *cpu_model.generate(X)", "E *AttributeError: 'Mlp' object has no attribute *"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_an_empty_batch_is_compared_with_nothing(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it=MODULES
        + with_model("models.mlp()", "cpu_model(X[:0])")
        + with_model("models.mlp()", "cpu_model(X[:0]), cpu_model(X)").replace("test_it", "test_another_call")
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-inconclusive=skip")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["INCONCLUSIVE *test_it*: twin: forward 0x16: nothing was compared: no output has an element to compare*"]
    )


def test_nan_that_eager_has_too_is_no_difference(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it=MODULES
        + with_model("NanRows().eval()", "cpu_model(torch.cat([X, -X]))")
        + with_model("NanRows().eval()", "cpu_model(X)").replace("test_it", "test_nothing_else")
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-inconclusive=skip")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["INCONCLUSIVE *twin: forward 2x16: *eager itself is NaN in all 8 elements"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("score_items(SCORE, [])", "HERE: score_items: there are no items to score; give at least one"),
        ("items = (i for i in [X]); list(items); score_items(SCORE, items)", "HERE: *a generator that was used up *"),
        ("score_items([X], SCORE)", "HERE: score_items: a list [[]tensor(* in the place of the function, and *"),
        ("score_items(SCORE, SCORE)", "HERE: score_items: <function * stands in the place of the items; give *"),
        ("score_items(SCORE, 3)", "HERE: score_items: an int 3 stands in the place of the items; give *"),
        ("score_items(SCORE, 'text')", "HERE: score_items: a str 'text' stands in the place of the items; give *"),
        ("score_items(lambda model: 1.0, [X])", "HERE: *<lambda>(model) can't be called with a model and an item *"),
        (
            "score_items(lambda model, item: model(X), [X])",
            "HERE: *<lambda> returned a Tensor of shape 2x4 for item 0*",
        ),
        (
            "score_items(lambda model, item: (model(X), 1)[1:] * 3, [X])",
            "HERE: *returned a tuple (1, 1, 1) for item 0*",
        ),
        ("score_items(lambda model, item: str(len(model(X))), [X])", "HERE: *<lambda> returned a str '2' for item 0*"),
        (
            "def score(model, item): model(item)\n    score_items(score, [X])",
            "HERE: score_items: score returned None for item 0, under twin; return one number, higher is better",
        ),
        (
            "cpu_model = request.getfixturevalue('cpu_model')\n"
            "    score_items(lambda model, item: float(model(X).sum() + cpu_model(X).sum()), [1])",
            "*cpu_model: is called during an eager run, by a model given to cpu_accelerate or a function given to *",
        ),
        (
            "cpu_model = request.getfixturevalue('cpu_model')\n"
            "    score_items(lambda model, item: float(cpu_model(X).sum()), [1])",
            "*cpu_model: is called during an eager run, by a model given to cpu_accelerate or a function given to *",
        ),
        ("score_items(lambda model, item: 1.0, [1])", "HERE: score_items: <lambda> never called the model *"),
        (
            "score_items(lambda model, item: float('nan') * model(X).sum(), [1])",
            "*item 0 scored nan *; return a finite number",
        ),
    ],
)
def test_scores_that_cannot_be_judged(mlp_project: pytest.Pytester, body: str, words: str) -> None:
    line = line_of_failure(
        mlp_project,
        f"\n@pytest.mark.accuracy_budget(max_drop='1%')\ndef test_it(score_items, request):\n    {body}\n",
    )
    pytest.LineMatcher([line]).fnmatch_lines([words])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("cpu_accelerate(models.mlp(), foo=3)", "cpu_accelerate.*got an unexpected keyword argument 'foo'"),
        ("score_items(SCORE)", "score_items.*missing 1 required positional argument: 'items'"),
    ],
)
def test_arguments_that_a_fixture_does_not_take(mlp_project: pytest.Pytester, body: str, words: str) -> None:
    mlp_project.makepyfile(test_it=f"{MODULES}\ndef test_it(cpu_accelerate, score_items):\n    {body}\n")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([rf"E +TypeError: .*{words}"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*")


def test_no_model_at_all(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="def test_it(cpu_model): pass")
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["eager_model: no model yet; override this fixture in conftest.py *--cpu-model=*"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cpu-model=./nowhere"], "--cpu-model: no folder '/*/nowhere'; give a folder *"),
        (["--cpu-model=nobody/nothing"], "--cpu-model: can't load 'nobody/nothing': OSError: *"),
        (["--cpu-model={empty}"], "--cpu-model: can't load '*': *"),
        (
            ["--cpu-model={bert}", "--cpu-task=text-classificaton"],
            "--cpu-task: no task 'text-classificaton'; did you mean 'text-classification'?",
        ),
        (["--cpu-model={broken}"], "--cpu-model: can't load '*': *"),
    ],
)
def test_a_folder_or_id_that_leads_to_no_model(
    project: pytest.Pytester, tmp_path: Path, options: list[str], words: str
) -> None:
    pytest.importorskip("transformers")
    from tests import models

    bert: Any = models.bert_classifier()
    for name in ("bert", "broken", "empty"):
        (tmp_path / name).mkdir()
    bert.save_pretrained(tmp_path / "bert")
    bert.save_pretrained(tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no weights")
    given = [option.format(**{name: tmp_path / name for name in ("bert", "broken", "empty")}) for option in options]
    project.makepyfile(test_it="def test_it(cpu_model): pass")

    result = project.runpytest_subprocess(*given)  # huggingface_hub reads HF_HUB_OFFLINE when it is imported
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([words])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--cpu-threads=0", "--cpu-threads: '0' is not a number of threads; write 1 or more"),
        ("--cpu-threads=two", "--cpu-threads: 'two' is not a number of threads; write 1 or more"),
        ("--cpu-missing=ignore", "--cpu-missing: 'ignore' is not one of fail, skip"),
        ("--cpu-inconclusive=pass", "--cpu-inconclusive: 'pass' is not one of warn, fail, skip"),
        ("--cpu-cache-limit=10", "--cpu-cache-limit: '10' has no unit; write \"10 GB\" *"),
        ("--cpu-report=r.xml", "--cpu-report: 'r.xml' ends in none of .json, .md, .html, and is not the word github"),
        ("--cpu-report=,", "--cpu-report: ',' names no file"),
        (
            "--cpu-report=/proc/nowhere/r.json",
            "--cpu-report: can't write '/proc/nowhere/r.json': No such file or directory",
        ),
        ("--cpu-report=file/r.json", "--cpu-report: can't write '*file/r.json': *"),
        ("--cpu-report=folder.json", "--cpu-report: can't write '*folder.json': Is a directory"),
    ],
)
def test_an_option_without_meaning_ends_the_run(mlp_project: pytest.Pytester, option: str, words: str) -> None:
    (mlp_project.path / "file").touch()
    (mlp_project.path / "folder.json").mkdir()
    mlp_project.makepyfile("def test_plain(): pass")
    pytest.LineMatcher([refusal(mlp_project, option)]).fnmatch_lines([f"ERROR: cpuaccel: {words}"])


def test_a_cache_that_cannot_be_written_costs_a_note(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=MODULES + "\n@pytest.mark.parity\ndef test_it(cpu_model):\n    cpu_model(X)\n")
    file = mlp_project.path / "file"
    file.touch()
    result = mlp_project.runpytest_inprocess("--cpu-backends=stored", f"--cpu-cache-dir={file}/cache")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: cache folder */file/cache/* can't be written (*); artifacts are kept for *"])


def test_a_process_without_gradients_or_with_inference_tensors_is_fine(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it=MODULES
        + """
@pytest.fixture
def eager_model():
    with torch.inference_mode():
        return models.Mlp().eval()

@pytest.mark.parity
def test_it(cpu_model):
    with torch.inference_mode():
        cpu_model(X)
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,stored,torchscript").assert_outcomes(passed=3)
    assert not torch.is_inference_mode_enabled()
