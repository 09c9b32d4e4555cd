"""The workflows for GitHub, which cannot run here: what can be said of them without running."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ZIZMOR = shutil.which("zizmor", path=Path(sys.executable).parent)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_least_permissions_and_time_limits(path):
    text = path.read_text(encoding="utf-8")
    assert re.search(r"(?m)^permissions: \{\}$", text) and re.search(r"(?m)^concurrency:$", text)
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")
    jobs = re.findall(r"(?m)^  \w+:$", text.partition("\njobs:\n")[2])
    assert len(jobs) == text.count("timeout-minutes:") == text.count("    permissions:")


def test_what_they_run_is_in_the_repository():
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    for name in re.findall(r"[\w./-]+\.(?:sh|py|txt)\b|\.ci/run", text):
        assert (ROOT / name).is_file(), name


def test_binder_takes_the_tested_versions_with_the_small_torch():
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    index, torch, rest = lines
    assert index.endswith("/whl/cpu") and rest == "-r ../requirements.txt"
    assert torch in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.long
@pytest.mark.skipif(ZIZMOR is None, reason="needs pip install -r site/requirements.txt")
def test_zizmor_finds_nothing():
    command = [ZIZMOR, "--offline", "--no-progress", ROOT / ".github" / "workflows"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
