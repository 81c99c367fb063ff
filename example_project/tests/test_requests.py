"""A text classifier, called through a transformers pipeline as in production."""

from __future__ import annotations

import pytest
from deployed import requests
from transformers import AutoTokenizer, pipeline


@pytest.fixture(scope="session")
def eager_model():
    return requests.checkpoint()


@pytest.fixture
def classify(cpu_model):
    tokenizer = AutoTokenizer.from_pretrained(requests.checkpoint())
    return pipeline("text-classification", model=cpu_model, tokenizer=tokenizer)


@pytest.fixture
def subject_of(classify):
    # One length for all: backends that build for a shape (torchscript, inductor) build once.
    return lambda text: classify(text, padding="max_length", max_length=24)[0]["label"]


@pytest.mark.parity
def test_a_request_finds_its_desk(subject_of):
    for subject, sentences in requests.SENTENCES.items():
        assert subject_of(sentences[0]) == subject


@pytest.mark.parity
@pytest.mark.cpu_backends(exclude="inductor")  # compiles for the shape of every call
def test_padding_changes_no_answer(classify):
    texts = ["where is my parcel", "my user name is locked after three attempts"]
    together = classify(texts, batch_size=2)
    apart = [classify(text)[0] for text in texts]
    assert [answer["label"] for answer in together] == [answer["label"] for answer in apart]
