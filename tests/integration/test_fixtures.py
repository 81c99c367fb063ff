"""``cpu_model``, ``cpu_backend``, ``cpu_accelerate``, ``eager_model``: what a test can do with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch


def test_a_model_takes_and_returns_what_the_original_does(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        from collections import UserDict, namedtuple

        import pytest, torch
        from torch import nn
        from tests import models

        X = torch.linspace(-1, 1, 32).reshape(2, 16)
        Pair = namedtuple("Pair", "low high")

        class Structured(nn.Module):
            def __init__(self, structure):
                super().__init__()
                self.layer = nn.Linear(16, 2)
                self.structure = structure

            def forward(self, x, *, other=None, factor=1):
                y = self.layer(x["x"] if isinstance(x, (dict, UserDict)) else x) * factor
                return self.structure(y if other is None else y + other)

        @pytest.mark.parity
        @pytest.mark.parametrize(
            "structure",
            [lambda y: y, lambda y: (y, -y), lambda y: [y, -y], lambda y: {"y": y, "z": -y}, lambda y: Pair(y, -y)],
        )
        def test_structures(cpu_accelerate, structure):
            model = Structured(structure).eval()
            with torch.no_grad():
                expected = model(X)
            actual = cpu_accelerate(model)(X)
            assert type(actual) is type(expected)
            torch.testing.assert_close(actual, expected)

        @pytest.mark.parity
        def test_ways_to_call(cpu_accelerate):
            model = Structured(lambda y: y).eval()
            cpu_model = cpu_accelerate(model)
            assert cpu_accelerate(model) is cpu_model
            with torch.no_grad():
                for args, kwargs in [
                    ((X,), {}),
                    ((), {"x": X}),
                    ((X,), {"other": X[:, :2]}),
                    ((X[:1],), {"factor": 3}),
                    (({"x": X},), {}),
                ]:
                    torch.testing.assert_close(cpu_model(*args, **kwargs), model(*args, **kwargs))
                    torch.testing.assert_close(cpu_model.forward(*args, **kwargs), model(*args, **kwargs))

        def test_outputs_need_no_gradient(cpu_model):
            assert not cpu_model(X).requires_grad
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager,twin").assert_outcomes(passed=14)


def test_the_stand_in_passes_for_the_original(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch
        from torch import nn
        from tests import models

        def test_it(cpu_model, eager_model):
            assert isinstance(cpu_model, models.Mlp)
            assert isinstance(cpu_model, nn.Module)
            assert not cpu_model.training
            assert cpu_model.eval() is cpu_model
            assert cpu_model.to("cpu").to(torch.float32) is cpu_model
            assert [p.shape for p in cpu_model.parameters()] == [p.shape for p in eager_model.parameters()]
            assert not hasattr(cpu_model, "generate")
            assert repr(cpu_model) == "<Mlp under twin>"
            with pytest.raises(AttributeError, match="'Mlp' object has no attribute 'lairs'"):
                cpu_model.lairs
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("cpu_model.train()", "cpu_model.train: a built model can't be changed; change eager_model instead"),
        ("cpu_model.half()", "cpu_model.half: a built model can't be changed; change eager_model instead"),
        ("cpu_model.to('cuda')", "cpu_model.to('cuda'): backends here run on the CPU"),
        ("cpu_model.to(torch.bfloat16)", "cpu_model.to(torch.bfloat16): choose a precision by backend, *"),
        ("cpu_model.layers(torch.ones(2, 16))", "cpu_model.layers: would run a part of the model in eager mode; *"),
    ],
)
def test_what_would_leave_the_backend_is_refused_in_one_line(
    mlp_project: pytest.Pytester, statement: str, words: str
) -> None:
    mlp_project.makepyfile(test_it=f"import torch\n\ndef test_it(cpu_model):\n    {statement}")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([words, "  at test_it.py:4"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_cpu_backend_tells_what_is_in_force(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        from importlib import metadata

        def test_it(cpu_backend):
            assert cpu_backend.name == "eager"
            assert cpu_backend.precision == "fp32"
            assert cpu_backend.versions == {"torch": metadata.version("torch")}
        """
    )
    mlp_project.runpytest_inprocess().assert_outcomes(passed=1)


def test_every_runtime_gets_the_threads_asked_for(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import torch

        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
            assert torch.get_num_threads() == 2
        """
    )
    before = torch.get_num_threads()
    try:
        mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-threads=2").assert_outcomes(passed=1)
    finally:
        torch.set_num_threads(before)


def test_a_fixture_of_the_users_may_use_ours(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.fixture
        def answer(cpu_model):
            return cpu_model(torch.ones(2, 16))

        @pytest.fixture
        def broken(cpu_model):
            return cpu_model.cuda()

        @pytest.mark.parity
        def test_good(answer):
            assert answer.shape == (2, 4)

        def test_bad(broken):
            pass
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["cpu_model.cuda: a built model can't be changed; change eager_model instead"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_weights_changed_between_calls_are_built_anew(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import torch

        X = torch.ones(2, 16)

        def test_within_a_test(cpu_model, eager_model):
            before = cpu_model(X)
            with torch.no_grad():
                eager_model.layers[0].weight.mul_(2)
                assert not torch.equal(cpu_model(X), before)
                assert torch.equal(cpu_model(X), eager_model(X))

        def test_between_tests(cpu_model, eager_model):
            with torch.no_grad():
                assert torch.equal(cpu_model(X), eager_model(X))
                eager_model.layers[2] = torch.nn.Linear(32, 4)

        def test_after_a_layer_was_replaced(cpu_model, eager_model):
            with torch.no_grad():
                assert torch.equal(cpu_model(X), eager_model(X))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=3)


def test_calls_from_before_a_change_of_weights_are_not_judged_by_the_changed_ones(
    mlp_project: pytest.Pytester,
) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        def test_it(cpu_model, eager_model):
            cpu_model(torch.ones(2, 16))
            with torch.no_grad():
                eager_model.layers[0].weight.mul_(2)
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["eager_model was changed after the test had called cpu_model, so *"])


def test_each_of_several_models_is_judged(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch
        from tests import models

        @pytest.mark.parity
        def test_it(cpu_model, cpu_accelerate):
            cpu_model(torch.ones(2, 16))
            cpu_accelerate(models.two_heads())(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Mlp *FAIL parity*", "TwoHeads *FAIL parity*"])


@pytest.mark.parametrize("where", ["fixture", "option", "ini"])
def test_a_model_may_be_a_folder(project: pytest.Pytester, bert_folder: Path, where: str) -> None:
    if where == "fixture":
        project.makeconftest(
            f"import pytest\n\n@pytest.fixture(scope='session')\ndef eager_model():\n    return {str(bert_folder)!r}"
        )
    if where == "ini":
        project.makeini(f"[pytest]\ncpu_model = {bert_folder}")
    project.makepyfile(
        """
        import pytest
        from tests import models

        @pytest.mark.parity
        def test_it(cpu_model):
            assert type(cpu_model(**models.tokens())).__name__ == "SequenceClassifierOutput"
        """
    )
    result = project.runpytest_inprocess(*([f"--cpu-model={bert_folder}"] if where == "option" else []))
    result.assert_outcomes(passed=1)


def test_a_task_decides_which_class_a_folder_is_loaded_with(project: pytest.Pytester, bert_folder: Path) -> None:
    project.makepyfile(
        """
        from tests import models

        def test_it(cpu_model):
            assert type(cpu_model(**models.tokens())).__name__ == "MaskedLMOutput"
        """
    )
    project.runpytest_inprocess(f"--cpu-model={bert_folder}", "--cpu-task=fill-mask").assert_outcomes(passed=1)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from tests import models

    folder = tmp_path_factory.mktemp("bert")
    model: Any = models.bert_classifier()
    model.save_pretrained(folder)
    return folder
