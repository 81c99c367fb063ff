"""An image classifier, held to the same answers, the same accuracy and a speed of its own per backend."""

from __future__ import annotations

import pytest
from deployed import digits


@pytest.fixture(scope="session")
def eager_model():
    return digits.checkpoint()


@pytest.fixture(scope="session")
def held_out():
    images, labels = digits.held_out()
    return list(zip(images.split(1), labels.tolist(), strict=True))


@pytest.mark.parity
@pytest.mark.latency_budget(
    p50="250 ms", speedup={"ort": 1.3, "openvino": 1.1}, max_slowdown={"eager": "25%", "sdpa": "25%"}
)
def test_one_image_is_recognised_soon_enough(cpu_model, held_out):
    image, label = held_out[0]
    assert cpu_model(pixel_values=image).logits.argmax() == label


@pytest.mark.parity
def test_a_batch_is_recognised(cpu_model):
    images, labels = digits.held_out()
    found = cpu_model(pixel_values=images[:32]).logits.argmax(-1)
    assert (found == labels[:32]).float().mean() > 0.9


@pytest.mark.accuracy_budget(max_drop="1%", min_score=0.9)
def test_accuracy_stays(score_items, held_out):
    score_items(lambda model, item: model(pixel_values=item[0]).logits.argmax() == item[1], held_out)
