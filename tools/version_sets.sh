#!/usr/bin/env bash
# Runs the checks with other versions than those of requirements.txt, each in its own environment.
# Usage: tools/version_sets.sh colab|newest|oldest [FOLDER]
# FOLDER keeps the environment; without it, a temporary one.
set -euo pipefail
cd "$(dirname "$0")/.."

# torch is the tested one in every set: other builds bring several gigabytes of GPU libraries.
torch=torch==2.13.0
checks=(--nbval tests course --ignore tests/test_browser.py)
case ${1-} in
    colab) # what Colab shipped in August 2026; itself it has torch 2.11 and Python 3.13
        packages=(
            ipython==7.34.0 ipykernel==6.17.1 ipywidgets==7.7.1 jupyter_client==7.4.9
            traitlets==5.7.1 tornado==6.5.7 notebook==6.5.7
            matplotlib==3.10.0 numpy==2.1.3 pooch tqdm pytest==8.4.2 nbval
        )
        checks=(--nbval tests/test_sliders.py tests/test_background.py course)
        ;;
    newest)
        packages=(
            matplotlib numpy pooch ipywidgets ipykernel tqdm hypothesis nbclient nbformat nbval
            packaging pytest setuptools
        )
        ;;
    oldest) # the lower bounds of pyproject.toml
        packages=(
            matplotlib==3.9.0 numpy==1.26.0 pooch==1.6.0 ipywidgets==7.7.0 ipykernel==6.17.0 tqdm==4.41.0
            hypothesis==6.100.0 nbclient==0.10.0 nbformat==5.9.0 nbval==0.11.0
            packaging==24.2 pytest==8.0.0 setuptools==77.0.3
            ipython==7.34.0 jupyter_client==7.4.9 # of their time
        )
        ;;
    *)
        sed -n 's/^# Usage: //p' "$0" >&2
        exit 2
        ;;
esac

if [ $# -gt 1 ]; then
    folder=$2
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet "${packages[@]}" "$torch"
"$folder/bin/pip" install --quiet --no-deps . # as the set-up cell does
"$folder/bin/python" -m pytest "${checks[@]}"
