"""Models of transformers as production uses them: direct calls, ``generate()`` and pipelines, under real backends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.requirements import unmet_requirement

pytest.importorskip("transformers")

INSTALLED = [backend.name for backend in BUILTIN if unmet_requirement(backend) is None]
UNLIKE = ("eager", "sdpa", "bf16", "torchscript", "torch-int8", "ort", "openvino", "ipex", "bettertransformer")
"""One of each kind; the contract watches what every backend does to a model."""
WITH_GRAPHS = [name for name in ("torchscript", "ort", "openvino") if name in INSTALLED]

CONFTEST = """
import pytest, torch
import transformers
from tokenizers import Tokenizer, models as kinds, pre_tokenizers, processors
from tests import models

WORDS = "[PAD] [BOS] [EOS] [UNK] [CLS] [SEP] the a film was good bad who made it philipp did".split()


@pytest.fixture(scope="session")
def tokenizer():
    tokenizer = Tokenizer(kinds.WordLevel({word: id for id, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 4), ("[SEP]", 5)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "bos", "eos")}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


@pytest.fixture(scope="session")
def prompt_tokenizer():
    tokenizer = Tokenizer(kinds.WordLevel({word: id for id, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]",
        padding_side="left", model_input_names=["input_ids", "attention_mask"],
    )
"""

TESTS = """
import copy
from importlib.util import find_spec

import pytest, torch
import transformers
from transformers import BertForQuestionAnswering, BertForSequenceClassification, pipeline

from tests import models
from tests.promises import assert_same_state, state


@pytest.fixture(scope="session")
def classifier():
    return models.bert_classifier()


@pytest.fixture(scope="session")
def answerer():
    return models.bert_qa()


@pytest.fixture(scope="session")
def writer():
    return models.gpt2()


def close(actual, expected):
    assert type(actual) is type(expected)
    torch.testing.assert_close(actual.logits, expected.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parity
def test_direct(cpu_accelerate, classifier, tokenizer):
    model = cpu_accelerate(classifier)
    assert isinstance(model, BertForSequenceClassification)
    batch = tokenizer(["the film was good", "a bad film"], padding=True, return_tensors="pt")
    tensors = dict(batch)
    with torch.no_grad():
        close(model(**batch), classifier(**batch))
        close(model(tensors["input_ids"], attention_mask=tensors["attention_mask"]),
              classifier(tensors["input_ids"], attention_mask=tensors["attention_mask"]))


@pytest.mark.parity
def test_a_tuple_where_one_is_asked_for(cpu_accelerate, cpu_backend, classifier):
    if cpu_backend.name == "ort" and not find_spec("onnxscript"):
        pytest.skip("Optimum returns no tuple, and torch.onnx needs onnxscript")
    batch = models.tokens()
    actual = cpu_accelerate(classifier)(**batch, return_dict=False)
    assert isinstance(actual, tuple)
    with torch.no_grad():
        torch.testing.assert_close(actual, classifier(**batch, return_dict=False), rtol=1e-4, atol=1e-4)


def test_config_is_a_private_copy(cpu_accelerate, classifier):
    model = cpu_accelerate(classifier)
    model.config.id2label = {0: "mine"}
    assert model.config.id2label == {0: "mine"}
    assert classifier.config.id2label != {0: "mine"}


@pytest.mark.parity
def test_text_classification(cpu_accelerate, classifier, tokenizer):
    texts = ["the film was good", "a bad film"]
    actual = pipeline("text-classification", model=cpu_accelerate(classifier), tokenizer=tokenizer)(texts)
    expected = pipeline("text-classification", model=copy.deepcopy(classifier), tokenizer=tokenizer)(texts)
    assert [item["label"] for item in actual] == [item["label"] for item in expected]
    assert [item["score"] for item in actual] == pytest.approx([item["score"] for item in expected], abs=1e-4)


@pytest.mark.skipif(int(transformers.__version__.split(".")[0]) >= 5, reason="transformers 5 has no such pipeline")
@pytest.mark.parity
def test_question_answering(cpu_accelerate, answerer, tokenizer):
    question = {"question": "who made it", "context": "philipp made the film"}
    model = cpu_accelerate(answerer)
    assert isinstance(model, BertForQuestionAnswering)
    actual = pipeline("question-answering", model=model, tokenizer=tokenizer)(question)
    expected = pipeline("question-answering", model=copy.deepcopy(answerer), tokenizer=tokenizer)(question)
    assert actual["answer"] == expected["answer"]


@pytest.mark.cpu_backends(exclude="torchscript")
@pytest.mark.parity
def test_text_generation(cpu_accelerate, writer, prompt_tokenizer):
    settings = {"max_new_tokens": 4, "do_sample": False}
    actual = pipeline("text-generation", model=cpu_accelerate(writer), tokenizer=prompt_tokenizer)
    expected = pipeline("text-generation", model=copy.deepcopy(writer), tokenizer=prompt_tokenizer)
    assert actual("the film was", **settings) == expected("the film was", **settings)


@pytest.mark.cpu_backends(exclude="torchscript")
@pytest.mark.parity
def test_generate(cpu_accelerate, writer, prompt_tokenizer):
    batch = prompt_tokenizer(["the film was", "who made it did"], padding=True, return_tensors="pt")
    settings = {"max_new_tokens": 4, "do_sample": False}
    assert torch.equal(cpu_accelerate(writer).generate(**batch, **settings), writer.generate(**batch, **settings))


@pytest.mark.parity
def test_image_classification(cpu_accelerate):
    Image = pytest.importorskip("PIL.Image")
    try:
        processor = transformers.ViTImageProcessor(size={"height": 8, "width": 8})
    except ImportError as missing:
        pytest.skip(str(missing).strip().splitlines()[0])
    config = transformers.ViTConfig(
        image_size=8, patch_size=2, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64
    )
    model = models.redraw(transformers.ViTForImageClassification(config))
    image = Image.linear_gradient("L").convert("RGB")
    actual = pipeline("image-classification", model=cpu_accelerate(model), image_processor=processor)(image)
    expected = pipeline("image-classification", model=copy.deepcopy(model), image_processor=processor)(image)
    assert [item["label"] for item in actual] == [item["label"] for item in expected]
"""

UNCHANGED = """
import contextlib

import pytest, torch

from pytest_cpuaccel import CpuaccelError
from tests import models
from tests.promises import assert_same_state, state


def values(output):
    return dict(output) if hasattr(output, "keys") else output


@pytest.mark.parametrize("make", [models.bert_classifier, models.mlp], ids=["bert", "mlp"])
def test_eager_is_bitwise_what_it_was(cpu_accelerate, cpu_backend, make):
    model = make()
    inputs = {"x": torch.ones(2, 16)} if make is models.mlp else models.tokens()
    before = state(model)
    with torch.no_grad():
        expected = model(**inputs)
    refusal = CpuaccelError if make is models.mlp else ()  # some backends take transformers' models only
    with contextlib.suppress(refusal):
        cpu_accelerate(model)(**inputs)
    assert_same_state(before, state(model))
    if not cpu_backend.name.startswith("ipex"):  # importing it changes what torch computes, to the 7th digit
        with torch.no_grad():
            torch.testing.assert_close(values(model(**inputs)), values(expected), rtol=0, atol=0)
"""


@pytest.mark.parametrize("backend", ["eager", *WITH_GRAPHS])
def test_a_model_is_used_as_in_production(project: pytest.Pytester, backend: str) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(test_it=TESTS)
    result = runner(project, backend)("-rs", f"--cpu-backends={backend}")
    outcomes = result.parseoutcomes()
    assert not {"failed", "errors", "error"} & set(outcomes)
    assert outcomes["passed"] >= (3 if backend == "torchscript" else 5)


@pytest.mark.parametrize("backend", [name for name in UNLIKE if name in INSTALLED])
def test_the_users_model_is_bitwise_unchanged(project: pytest.Pytester, backend: str) -> None:
    project.makepyfile(test_it=UNCHANGED)
    runner(project, backend)(f"--cpu-backends={backend}").assert_outcomes(passed=2)


def runner(project: pytest.Pytester, backend: str) -> Callable[..., pytest.RunResult]:
    """Run in another process what changes its own: IPEX torch's results, Optimum and ONNX Runtime ``sys.path``."""
    in_process = backend in ("eager", "sdpa", "bf16", "torchscript", "inductor", "torch-int8", "torchao-int8")
    return project.runpytest_inprocess if in_process else project.runpytest_subprocess


CONFIGURED = """
import pytest, torch
from tests import models

IDS = torch.tensor([[5, 6, 7]])

@pytest.mark.parity
def test_generation_config(cpu_accelerate):
    cpu_model = cpu_accelerate(models.gpt2())
    cpu_model.generation_config.max_new_tokens = 2
    assert cpu_model.generate(IDS, do_sample=False).shape == (1, 5)

def test_config(cpu_accelerate):
    cpu_model = cpu_accelerate(models.gpt2())
    cpu_model.config.output_hidden_states = True
    cpu_model(input_ids=IDS)
"""


def test_what_a_test_configures_is_heard_or_refused(project: pytest.Pytester) -> None:
    project.makepyfile(CONFIGURED)
    result = project.runpytest_inprocess("--cpu-backends=eager,bf16", "-W", "ignore")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*cpu_model.config.output_hidden_states: setting it would change nothing in a *"])
