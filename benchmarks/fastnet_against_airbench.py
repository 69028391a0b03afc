"""fastnet's whole training against the time of airbench94 on the same processor, side by side.

    python benchmarks/fastnet_against_airbench.py --settings fastnet "fastnet, wide"

Trains settings of `own-fastnet` (see `scripts/reproduce.py`), each seed anew, and leaves their rows in its
table. airbench94 (K. Jordan, PyPI `airbench`) is made for one GPU. Its network and step are moved to the CPU
with bfloat16 and channels last, its images a second measured before and after each of our trainings, and its
time taken as 9.9 epochs of 50,000 images at that rate: augmentation, whitening and look-ahead are left out,
in its favour. Ours is the time from the first step to the last, augmentation included. Both exclude import,
decoding and evaluation. Needs CIFAR-10 (SCENEBENCH_DATA) and `pip install -e '.[bench]'`.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from experiments.benchmark_table import write_benchmark
from experiments.data import PROJECT, known_folder
from experiments.memory import keep_freed_memory
from experiments.network_tables import NETWORK_EXPERIMENTS, SEEDS

EPOCHS, IMAGES = 9.9, 50_000
EXPERIMENT = "own-fastnet"
LABELS = [setting.label for setting in NETWORK_EXPERIMENTS[EXPERIMENT].settings]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", nargs="+", choices=LABELS, default=LABELS, metavar="SETTING",
                        help=f"which to train: {'; '.join(LABELS)} (default: all)")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--steps", type=int, default=12, help="timed steps of airbench94, each side")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    args = parser.parse_args()
    try:
        known_folder("cifar10")
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    keep_freed_memory()  # for both
    import torch

    from experiments.network_runs import Call, Runner

    command = ["benchmarks/fastnet_against_airbench.py", *sys.argv[1:]]
    call = Call(args.runs_dir, PROJECT / "results", PROJECT / "docs" / "reports", ["python", *command],
                fresh=True, device="cpu", precision="bf16")  # fmt: skip
    runner = Runner(call)
    for label in args.settings:
        ours, ratios, accuracies = [], [], []
        for seed in args.seeds:
            rates = airbench_rates(args.steps)
            ledger, failed = runner.run(EXPERIMENT, [label], [seed])
            rates += airbench_rates(args.steps)
            assert ledger is not None
            if failed:
                return 1
            (row,) = (
                row for row in ledger.latest()
                if (row.setting, row.metric, row.seeds) == (label, "accuracy", str(seed))
            )  # fmt: skip
            peer = EPOCHS * IMAGES / statistics.median(rates)
            ours.append(float(row.seconds))
            ratios.append(ours[-1] / peer)
            accuracies.append(float(row.measured))
            print(
                f"{label}, seed {seed}: held-out accuracy {row.measured} of {row.n_test}, {ours[-1]:.1f} s; "
                f"airbench94 {min(rates):.0f} to {max(rates):.0f} images/s, {peer:.1f} s in all; "
                f"ratio {ratios[-1]:.3f}",
                flush=True,
            )
        write_benchmark(
            claim=f"{label}, against airbench94's time", ours="fastnet", peer="airbench94",
            work=f"CIFAR-10, 45,000 images fitted, held-out {statistics.mean(accuracies):.4f}, mean of "
            f"{len(accuracies)}", ours_seconds=statistics.mean(ours),
            peer_seconds=statistics.mean(ours) / statistics.mean(ratios), ratios=ratios,
            threads=torch.get_num_threads(), command=command,
        )  # fmt: skip
    return 0


def airbench_rates(steps: int) -> list[float]:
    """Images a second of airbench94's training step on the CPU, one figure a step."""
    import torch
    from torch import nn

    from deep._torchvision import load_models

    load_models()  # airbench imports torchvision, which a CPU build of torch needs help with
    # airbench moves its network to a GPU in half precision as it builds it
    cuda, half = nn.Module.cuda, nn.Module.half
    nn.Module.cuda, nn.Module.half = (lambda self: self), nn.Module.bfloat16
    try:
        from airbench.lib_airbench94 import hyp, make_net94

        network = make_net94()
    finally:
        nn.Module.cuda, nn.Module.half = cuda, half
    network.train()
    batch, options = hyp["opt"]["batch_size"], hyp["opt"]
    network[0].bias.requires_grad = False  # frozen for most of its training
    images = torch.randn(batch, 3, 32, 32).bfloat16().contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=options["momentum"], nesterov=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=options["label_smoothing"], reduction="none")
    rates = []
    for step in range(steps + 2):
        started = time.perf_counter()
        loss = loss_of(network(images), labels).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step >= 2:
            rates.append(batch / (time.perf_counter() - started))
    return rates


if __name__ == "__main__":
    sys.exit(main())
