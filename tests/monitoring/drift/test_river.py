"""River's detectors: their settings and their state."""

from __future__ import annotations

import json
import random

import pytest

from daemon.errors import ConfigError, StateError
from daemon.monitoring.drift import river_state
from daemon.monitoring.drift.river import RiverDetector


def test_generator_needs_a_seed_and_kinds_are_checked() -> None:
    with pytest.raises(ConfigError, match="seed"):
        RiverDetector(kind="kswin")
    with pytest.raises(ConfigError, match="there are page_hinkley"):
        RiverDetector(kind="cusum")


def test_only_listed_classes_are_written_or_read() -> None:
    with pytest.raises(StateError, match=r"builtins\.object"):
        river_state.encode(object())
    for saved in ({"class": "subprocess.Popen", "fields": {}}, {"rust": "os.system", "bytes": ""}, {"call": "x"}):
        with pytest.raises(StateError, match="cannot read"):
            river_state.decode(saved)


def test_seeded_generator_goes_through_json() -> None:
    generator = random.Random(3)
    generator.gauss(0, 1)
    copy = river_state.decode(json.loads(json.dumps(river_state.encode(generator))))
    assert [generator.gauss(0, 1) for _ in range(5)] == [copy.gauss(0, 1) for _ in range(5)]


def test_state_of_another_kind_is_refused() -> None:
    with pytest.raises(StateError, match="is of 'ddm'"):
        RiverDetector(kind="hddm_a").load_state_dict(RiverDetector(kind="ddm").state_dict())
