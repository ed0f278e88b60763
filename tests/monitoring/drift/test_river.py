"""River's detectors: their settings and their state."""

from __future__ import annotations

import pytest

from daemon.errors import ConfigError, StateError
from daemon.monitoring.drift import river_state
from daemon.monitoring.drift.river import RiverDetector


def test_kinds_are_checked() -> None:
    with pytest.raises(ConfigError, match="there are page_hinkley"):
        RiverDetector(kind="cusum")


def test_only_listed_classes_are_written_or_read() -> None:
    with pytest.raises(StateError, match=r"builtins\.object"):
        river_state.encode(object())
    for saved in ({"class": "subprocess.Popen", "fields": {}}, {"rust": "os.system", "bytes": ""}, {"random": [3, [1], None]}):
        with pytest.raises(StateError, match="cannot read"):
            river_state.decode(saved)


def test_state_of_another_kind_is_refused() -> None:
    with pytest.raises(StateError, match="is of 'hddm_w'"):
        RiverDetector(kind="hddm_a").load_state_dict(RiverDetector(kind="hddm_w").state_dict())
