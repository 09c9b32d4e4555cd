#!/usr/bin/env bash
# Runs the notebooks, and the tests of the panel, with what Colab shipped in August 2026.
# Usage: tools/colab_set.sh [FOLDER]   FOLDER keeps the environment; without it, a temporary one.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
    folder=$1
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

python3 -m venv "$folder"
# Colab itself has torch 2.11 and Python 3.13; here it is the Python at hand and the tested torch.
"$folder/bin/pip" install --quiet \
    ipython==7.34.0 ipykernel==6.17.1 ipywidgets==7.7.1 jupyter_client==7.4.9 \
    traitlets==5.7.1 tornado==6.5.7 notebook==6.5.7 \
    matplotlib==3.10.0 numpy==2.1.3 pooch tqdm torch==2.13.0 \
    pytest==8.4.2 nbval
"$folder/bin/pip" install --quiet --no-deps .  # as the set-up cell does
"$folder/bin/python" -m pytest --nbval tests/test_widgets.py tests/test_background.py course
