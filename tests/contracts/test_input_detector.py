"""What the detector of the inputs keeps to: it takes a vector a row, so that it is not in the table of the other detectors.

A missing value is NaN in what it is shown, so NaN is a value here and infinity alone is none. How it goes on after a reload is
in `tests/monitoring/drift/test_inputs.py`, its memory over a million rows in `test_soak.py`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.models.base import Model
from daemon.monitoring.drift.inputs import InputShift
from tests.contracts.discovery import has_example
from tests.contracts.expert_checks import assert_same_state
from tests.learning.test_tables import make_mixture
from tests.learning.texts import text_mixture

LARGEST = sys.float_info.max


def test_documented_example_is_there() -> None:
    assert has_example(InputShift)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize("pause_rows", [0, 100])
def test_infinity_is_refused_and_blinds_nothing(value: float, pause_rows: int) -> None:
    """On every 50th row: before its width is known, while the scale is taken, behind an alarm and in the pause."""
    refused, untouched = (InputShift(threshold=6.0, seed=0, pause_rows=pause_rows) for _ in range(2))
    random, num_alarms = np.random.default_rng(9), 0
    x_ND = random.normal(size=(2_000, 3)) + (np.arange(2_000) >= 1_000)[:, None] * 2.0
    for row, x_D in enumerate(x_ND):
        if row % 50 == 0 or refused.drift_detected:
            with pytest.raises(ValueError, match=f"was given {value}; it takes finite numbers"):
                refused.update(np.array([x_D[0], math.nan, value]))
            assert_same_state(refused.state_dict(), untouched.state_dict())
        refused.update(x_D)
        untouched.update(x_D)
        assert refused.drift_detected == untouched.drift_detected
        num_alarms += refused.drift_detected
    assert num_alarms == 1
    assert_same_state(refused.state_dict(), untouched.state_dict())


@pytest.mark.parametrize("make", [make_mixture, text_mixture])
def test_what_a_pool_shows_is_never_infinite_and_is_taken(make: Callable[[], Model]) -> None:
    """However large a column's numbers, and whatever is missing."""
    model, detector, random = make(), InputShift(threshold=6.0, seed=0), np.random.default_rng(4)
    model._shows_inputs = True  # type: ignore[attr-defined] # that of tables does not by itself
    for row in range(300):
        x = [LARGEST, -LARGEST, 5e-324, 0.0, float(random.normal())][int(random.integers(5))]
        features = {"x": x, "y": float(random.normal())} if row % 3 else {"colour": f"colour {row}"}
        model.learn(Batch([f"row {row}" if row % 7 else ""], [features]), np.array([row % 2], np.float64), np.ones(1))
        assert model.inputs_BD is not None
        [x_D] = model.inputs_BD
        assert not np.isinf(x_D).any()
        detector.update(x_D)
    assert detector.state_dict()["blocks"] == 30
