"""A text classifier, called through a transformers pipeline as in production."""

from __future__ import annotations

import pytest
from deployed import requests
from transformers import AutoTokenizer, pipeline


@pytest.fixture(scope="session")
def eager_model():
    return requests.checkpoint()


@pytest.fixture
def sort(cpu_model):
    return pipeline("text-classification", model=cpu_model, tokenizer=AutoTokenizer.from_pretrained(requests.checkpoint()))


@pytest.mark.parity
def test_requests_find_their_desk(sort):
    assert sort("Why is the amount on my invoice wrong?")[0]["label"] == "payment"
    assert sort("The parcel has not arrived at my address")[0]["label"] == "delivery"
    assert sort("I can't sign in with my password")[0]["label"] == "login"


@pytest.mark.parity
@pytest.mark.cpu_backends(exclude="*int8")
def test_padding_changes_no_answer(sort):
    texts = ["Where is it?", "Please reset the password of my user name, the page says that it is wrong"]
    together = sort(texts, batch_size=2)
    apart = [sort(text)[0] for text in texts]
    assert [answer["label"] for answer in together] == [answer["label"] for answer in apart]
