"""What an expert says is drawn in as far as it errs, and its likeliest class stays the likeliest."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.calibration import Calibration
from daemon.learning.mixer import Mixer


def learned(p_REK: np.ndarray, target_R: np.ndarray, *, weight: float = 1.0) -> Calibration:
    calibration = Calibration(places=range(p_REK.shape[1]))
    for p_EK, target in zip(p_REK, target_R, strict=True):
        calibration.apply(p_EK)
        calibration.learn(int(target), weight)
    return calibration


def test_the_likeliest_class_stays_the_likeliest() -> None:
    generator = np.random.default_rng(0)
    p_REK = generator.dirichlet(np.ones(4), size=(500, 3))
    calibration = Calibration(places=[0, 1, 2])
    for p_EK in p_REK:
        q_EK = calibration.apply(p_EK)
        assert (q_EK.argmax(axis=1) == p_EK.argmax(axis=1)).all()
        np.testing.assert_allclose(q_EK.sum(axis=1), 1.0)
        calibration.learn(int(generator.integers(4)), 1.0)


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.08])
def test_an_expert_that_is_sure_of_noisy_labels_is_believed_as_often_as_it_is_right(noise: float) -> None:
    generator = np.random.default_rng(1)
    class_R = generator.integers(2, size=2000)
    p_REK = np.where(np.arange(2) == class_R[:, None, None], 1.0 - 1e-6, 1e-6)
    target_R = np.where(generator.random(2000) < noise, 1 - class_R, class_R)
    calibration = learned(p_REK, target_R)
    assert calibration.apply(p_REK[0]).max() == pytest.approx(1.0 - noise, abs=0.03)


def test_a_calibrated_expert_is_left_as_it_is() -> None:
    generator = np.random.default_rng(2)
    p_REK = generator.dirichlet(np.ones(3), size=(2000, 1))
    target_R = np.array([generator.choice(3, p=p_EK[0]) for p_EK in p_REK])
    calibration = learned(p_REK, target_R)
    p_EK = np.array([[0.6, 0.3, 0.1]])
    np.testing.assert_allclose(calibration.apply(p_EK), p_EK, atol=0.03)


def test_only_the_experts_that_are_named_are_calibrated() -> None:
    p_EK = np.array([[0.9, 0.1], [0.9, 0.1]])
    calibration = Calibration(places=[1])
    for _ in range(100):
        calibration.apply(p_EK)
        calibration.learn(1, 1.0)
    plain_K, drawn_in_K = calibration.apply(p_EK)
    assert plain_K.tolist() == [0.9, 0.1]
    assert drawn_in_K[0] < 0.75


@pytest.mark.parametrize("said", [[np.nan, np.nan, np.nan], [0.0, 0.0, 0.0], [np.inf, 0.0, 0.0], [1.0, 0.0, 0.0]])
def test_nothing_that_an_expert_says_and_no_weight_leaves_the_finite(said: list[float]) -> None:
    calibration = Calibration(places=[0])
    for weight in (1.0, 1e-9, 1e9, 3.0):
        assert np.isfinite(calibration.apply(np.array([said]))).all()
        calibration.learn(1, weight)
    q_EK = calibration.apply(np.array([[0.5, 0.3, 0.2]]))
    assert q_EK.sum() == pytest.approx(1.0)
    assert (q_EK > 0.0).all()


def test_a_row_of_weight_two_counts_as_two() -> None:
    """But for the share, which falls back once a row."""
    p_EK = np.array([[0.99, 0.01]])
    once, twice = learned(np.array([p_EK]), np.array([1]), weight=2.0), learned(np.array([p_EK] * 2), np.array([1, 1]))
    np.testing.assert_allclose(once.apply(p_EK), twice.apply(p_EK), atol=1e-3)


def test_it_goes_on_identically_after_a_reload() -> None:
    generator = np.random.default_rng(3)
    p_REK, target_R = generator.dirichlet(np.ones(3), size=(100, 2)), generator.integers(3, size=100)
    whole, first = learned(p_REK, target_R), learned(p_REK[:40], target_R[:40])
    second = Calibration(places=[0, 1])
    second.load_state_dict(first.state_dict())
    for p_EK, target in zip(p_REK[40:], target_R[40:], strict=True):
        second.apply(p_EK)
        second.learn(int(target), 1.0)
    assert second.state_dict()["weights"].tobytes() == whole.state_dict()["weights"].tobytes()


def test_a_mixture_errs_less_often_where_a_sure_expert_is_calibrated_first() -> None:
    """One expert knows the class but not that labels are noisy, the others are unsure and see the boundary elsewhere."""
    generator = np.random.default_rng(4)
    x_R = generator.normal(size=3000)
    target_R = np.where(generator.random(3000) < 0.1, x_R < 0.0, x_R > 0.0).astype(int)
    errors = {}
    for calibrated in ((), (0, 1)):
        mixer, wrong = Mixer(num_experts=2, calibrated=calibrated), 0
        for x, target in zip(x_R, target_R, strict=True):
            sure, unsure = 1.0 / (1.0 + np.exp(-20.0 * x)), 1.0 / (1.0 + np.exp(-(x - 0.8)))
            mixed_K = mixer.mix(np.array([[1.0 - sure, sure, 1e-6], [1.0 - unsure, unsure, 1e-6]]))
            wrong += int(mixed_K[:2].argmax() != target)
            mixer.learn(int(target), 1.0)
        errors[calibrated] = wrong
    assert errors[(0, 1)] < errors[()]
