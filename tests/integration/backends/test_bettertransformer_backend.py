"""BetterTransformer, where optimum and transformers are old enough to have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.backends.bettertransformer import BETTERTRANSFORMER
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.promises import assert_alike, assert_same_state, build, state
from tests.subjects import subject

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.skipif(
        unmet_requirement(BETTERTRANSFORMER) is not None, reason=str(unmet_requirement(BETTERTRANSFORMER))
    ),
]
LAYERS = 2


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (models.bert_classifier, models.tokens()),
        (models.bert_qa, models.tokens(padding=0)),
        (models.bert_encoder, models.tokens(padding=0)),
        (models.vit, models.digits()),
        (models.gpt2, models.tokens()),
    ],
    ids=["bert_classifier", "bert_qa", "bert_encoder", "vit", "gpt2"],
)
def test_every_layer_is_replaced_and_the_answer_is_eagers(make: Any, inputs: Any, tmp_path: Path) -> None:
    model = make()
    before = state(model)
    asked = subject(model, **inputs)
    built = build(BETTERTRANSFORMER, asked, tmp_path)
    with torch.no_grad():
        assert_alike(built.forward(**inputs), asked.expected, Precision.FP32)
    assert built.threads == torch.get_num_threads()
    assert built.facts == {"replaced_layers": LAYERS}
    assert_same_state(before, state(model))


def test_generate_gives_eagers_tokens(tmp_path: Path) -> None:
    model, prompt = models.gpt2(), models.tokens(padding=0)
    built = build(BETTERTRANSFORMER, subject(model, generates=True, **prompt), tmp_path)
    assert built.generate is not None
    expected = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert torch.equal(built.generate(**prompt, max_new_tokens=4, do_sample=False), expected)


def test_a_model_it_has_no_layers_for_is_refused_in_optimums_words(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^ValueError: Transformers now supports natively .* llama"):
        build(BETTERTRANSFORMER, subject(models.llama(), **models.tokens()), tmp_path)


def test_a_plain_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="Mlp is no transformers model"):
        build(BETTERTRANSFORMER, subject(models.mlp(), x=torch.ones(1, 16)), tmp_path)
