"""Checks what only a GPU can show, in under five minutes:

    python tools/gpu_check.py

1. tests/test_cuda.py: same results as on a CPU, and no waiting for the GPU within an epoch.
2. Training speed of the concise GRU (256 hidden units, batches of 32 texts of 35 letters), beside
   the 404,414 tokens per second that the course's material was first published with.
3. Lesson 02, executed from top to bottom.

Where there is no CUDA GPU it says so at once, and nothing is checked.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
LESSON = ROOT / "course" / "02_rnn_concise.ipynb"
PUBLISHED = 404_414  # tokens per second


def main():
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA GPU here: nothing was checked.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pytest = [sys.executable, "-m", "pytest", "-q"]
    failed = subprocess.run([*pytest, ROOT / "tests" / "test_cuda.py"], env=environment).returncode
    speed = measure_speed()
    print(
        f"concise GRU: {speed:,.0f} tokens/s, {speed / PUBLISHED:.2f} of {PUBLISHED:,}", flush=True
    )
    # Outputs that a GPU rounds differently may differ from the stored ones: it is only executed.
    failed |= subprocess.run([*pytest, "--nbval-lax", LESSON], env=environment).returncode
    if failed or speed < PUBLISHED:
        raise SystemExit("Not all is well: see above.")


def measure_speed():
    """The median speed of ten epochs, after two that do not count."""
    sys.path.insert(0, str(ROOT))
    import d2lmini as d2l

    device = d2l.try_gpu()
    train_iter, vocab = d2l.load_data_time_machine(32, 35)
    net = d2l.RNNModel(nn.GRU(len(vocab), 256), len(vocab)).to(device)
    loss, updater = nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), lr=1)
    speeds = [
        d2l.train_epoch_ch8(net, train_iter, loss, updater, device, False)[1] for _ in range(12)
    ]
    return statistics.median(speeds[2:])


if __name__ == "__main__":
    main()
