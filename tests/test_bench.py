"""The benchmark command in its quickest form: its figures agree with each other, and are kept.

How fast anything is depends on the machine; no test here has an opinion on it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "tools" / "bench.py"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The figures of one quick run."""
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    path.write_text("old")
    picture = path.with_name("race.png")
    options = ["--quick", "--json", path, "--picture", picture]
    subprocess.run([sys.executable, BENCH, *options], check=True)
    assert sorted(os.listdir(path.parent)) == ["figures.json", "race.png"]
    return json.loads(path.read_text())


def test_ratios_are_the_quotients_of_what_was_measured(quick):
    times = quick["import"]
    assert times["torch_s"] > 0 and times["ratio"] == times["d2lmini_s"] / times["torch_s"]
    assert set(quick["epoch"]) == {"RNN, 64 hidden", "RNN, 256 hidden"}
    for row in quick["epoch"].values():
        assert row["torch_tokens_per_s"] > 0
        assert row["ratio"] == row["d2lmini_tokens_per_s"] / row["torch_tokens_per_s"] > 0


def test_drawing_is_a_part_of_the_training_run(quick):
    drawing = quick["drawing"]
    assert drawing["frames"] >= 1 and 0 < drawing["share"] < 1
    assert 0 < drawing["frame_ms"] <= 1000 * drawing["training_s"]


def test_every_stage_of_every_cell_runs_in_the_race(quick):
    cells = {"RNN", "GRU", "GRU, reset after", "LSTM"}
    more = {"LSTM, 2 layers", "LSTM, 2 layers, both directions"}
    assert set(quick["race"]) == cells | more
    for row in quick["race"].values():
        assert list(row) == ["literal", "readable", "by hand", "torch.nn"]
        assert min(row.values()) > 0


def test_what_was_not_reached_has_no_time(quick):
    for row in (row for rows in quick["quality"].values() for row in rows.values()):
        assert row == {"seconds": None, "epoch": None, "epochs": 2}  # two epochs are too few


def test_the_machine_is_named_beside_the_figures(quick):
    assert int(quick["threads"]) >= 1 and quick["processors"] >= 1
    assert {"torch", "load_before", "load_after"} <= set(quick)


def test_the_slider_is_timed_where_there_is_a_browser(quick):
    if quick["slider"] is None:
        pytest.skip("no JupyterLab, playwright or Chromium here")
    assert set(quick["slider"]) == {"RNN, 64 hidden", "LSTM, 64 hidden"}
    for row in quick["slider"].values():
        assert 0 < row["median_ms"] <= row["slowest_ms"] and row["rounds"] == 2
