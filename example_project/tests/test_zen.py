"""A language model whose ``generate()`` must write the same text under every backend that has one."""

from __future__ import annotations

import pytest
from deployed import zen


@pytest.fixture(scope="session")
def eager_model():
    return zen.checkpoint()


@pytest.mark.parity
@pytest.mark.cpu_backends(exclude=["torchscript", "bettertransformer"])  # a trace has no loop; Llama is too new
def test_the_text_goes_on_as_it_should(cpu_model):
    prompt = zen.encoded("Beautiful is better")
    tokens = cpu_model.generate(prompt, max_new_tokens=11, do_sample=False)
    assert zen.decoded(tokens[0]) == "Beautiful is better than ugly."
