"""The whole default pool on rows of a text and columns, of which each tells half of what decides the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from daemon.assembly import models
from daemon.config import load
from daemon.learning.batch import Batch
from tests.learning.texts import TOPICS
from tests.learning.tiny import tiny_bert

NUM_ROWS = 500


def halves(draw: np.random.Generator) -> tuple[Batch, NDArray[np.intp], NDArray[np.float64]]:
    """Rows, the topic of each one's text (0 or 1) and the number in its columns; another number says nothing."""
    topic_B, x_B = draw.integers(2, size=NUM_ROWS), draw.normal(size=NUM_ROWS)
    texts = [
        " ".join([*draw.choice(TOPICS[topic].split(), size=3), *draw.choice(["the", "a", "of", "to"], size=2)])
        for topic in topic_B
    ]
    rows = [{"x": float(x), "y": float(draw.normal()), "colour": str(draw.choice(["red", "blue"]))} for x in x_B]
    return Batch(texts, rows), topic_B, x_B


def errors(inputs: str, encoder: str, batch: Batch, target_B: NDArray[np.float64]) -> int:
    """Of the default pool on `inputs`, over the second half of the rows."""
    settings = load(
        None,
        environ={},
        defaults={"source": {"kind": "files", "paths": []}},
        overrides=[f"model.inputs={inputs}", f"model.encoder='{encoder}'", "model.max_tokens=16"],
    )
    found = models.encoder(settings, may_lack=False)
    model, wrong = models.model(settings, encoder=found, device=torch.device("cpu")), list[bool]()
    for start in range(0, NUM_ROWS, 64):
        part = slice(start, start + 64)
        output_BC = model.learn(Batch(batch.texts[part], batch.features[part]), target_B[part], np.ones(len(target_B[part])))
        wrong += (output_BC.argmax(axis=1) != target_B[part]).tolist()
    return sum(wrong[NUM_ROWS // 2 :])


@pytest.mark.parametrize("with_encoder", [False, True])
@pytest.mark.parametrize("halves_are", ["apart", "summed"])
def test_what_a_text_and_columns_each_tell_half_of_is_learned_from_both(
    tmp_path: Path, halves_are: str, with_encoder: bool
) -> None:
    """Apart: four labels, one for each topic and sign. Summed: two, by the sum of both. By one half alone nobody can be
    right on more than one row in two, or five in six."""
    batch, topic_B, x_B = halves(np.random.default_rng(5))
    labels = 2 * topic_B + (x_B > 0.0) if halves_are == "apart" else (2 * topic_B - 1 + x_B > 0.0).astype(np.intp)
    first_of = list(dict.fromkeys(labels.tolist()))
    target_B = np.array([float(first_of.index(label)) for label in labels.tolist()])
    encoder = str(tiny_bert(tmp_path / "encoder", batch.texts)) if with_encoder else "none"
    both, text, columns = (errors(inputs, encoder, batch, target_B) for inputs in ("both", "text", "features"))
    alone = NUM_ROWS // 2 * (0.4 if halves_are == "apart" else 0.1)
    assert min(text, columns) > alone
    assert both < 0.5 * alone
