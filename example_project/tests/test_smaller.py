"""Pruned and distilled checkpoints, held to the digits model whose place they are to take."""

from __future__ import annotations

import pytest
from deployed import digits, smaller

pytestmark = pytest.mark.cpu_backends("eager", "ort", "openvino")


@pytest.fixture(scope="session")
def eager_model():
    return digits.checkpoint()


@pytest.fixture(scope="session")
def held_out():
    images, labels = digits.held_out()
    return list(zip(images.split(1), labels.tolist(), strict=True))


def is_recognised(model, item):
    image, label = item
    return model(pixel_values=image).logits.argmax() == label


class TestPruned:
    @pytest.fixture
    def cpu_candidate(self):
        return smaller.pruned()

    @pytest.mark.parity(cosine=0.98)
    def test_answers_are_near(self, cpu_model, held_out):
        image, _ = held_out[0]
        cpu_model(pixel_values=image)

    @pytest.mark.accuracy_budget(max_drop="3%")
    @pytest.mark.latency_budget(max_slowdown="25%")
    def test_it_is_as_good_and_no_slower(self, score_items, held_out):
        score_items(is_recognised, held_out)


class TestDistilled:
    @pytest.fixture
    def cpu_candidate(self):
        return smaller.distilled()

    @pytest.mark.accuracy_budget(max_drop="3%")
    @pytest.mark.latency_budget(speedup=1.2)
    def test_it_is_as_good_and_faster(self, score_items, held_out):
        score_items(is_recognised, held_out)
