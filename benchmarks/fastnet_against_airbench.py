"""fastnet's whole training against the time of airbench94 on the same processor, side by side.

    python benchmarks/fastnet_against_airbench.py

airbench94 (K. Jordan, PyPI `airbench`) is made for one GPU. Its network and step are moved to the CPU with
bfloat16 and channels last, its images a second measured before and after our training, and its time taken
as 9.9 epochs of 50,000 images at that rate: augmentation, whitening and look-ahead are left out, in its
favour. Ours is the time from the first step to the last, augmentation included. Both exclude import,
decoding and evaluation. Needs CIFAR-10 (SCENEBENCH_DATA) and `pip install -e '.[bench]'`.
"""

import argparse
import statistics
import sys
import time
from datetime import date
from pathlib import Path

from experiments.data import PROJECT
from experiments.memory import keep_freed_memory

EPOCHS, IMAGES = 9.9, 50_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12, help="timed steps of airbench94, each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="+", default=[], help="fields of the recipe")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--write", action="store_true", help="append to the tables in results/")
    args = parser.parse_args()
    keep_freed_memory()  # for both
    import torch

    from deep.recipes import RECIPES, with_settings
    from experiments.cnn import Job, train_job
    from experiments.network_data import load_network_data

    data = load_network_data("fastnet", (3, 32, 32), dataset="cifar10")
    print(data.note)
    settings = ["fit_all=true", f"seed={args.seed}", *args.set]
    recipe = with_settings(RECIPES["fastnet"], settings)
    rates = airbench_rates(args.steps)
    command = ["benchmarks/fastnet_against_airbench.py", *sys.argv[1:]]

    def show(row: dict) -> None:
        print(row["epoch"], f"{row['train_loss']:.3f}", row["seconds"], flush=True)

    job = Job("fastnet", recipe, data, precision="bf16")
    result = train_job(job, args.runs_dir, command, on_epoch=[show])
    rates += airbench_rates(args.steps)
    assert result is not None
    ours, peer = result.trained.seconds, EPOCHS * IMAGES / statistics.median(rates)
    print(f"fastnet: held-out accuracy {result.accuracy:.4f} of {len(data.heldout)}, {ours:.1f} s")
    print(f"airbench94: {min(rates):.0f} to {max(rates):.0f} images/s, {peer:.1f} s for {EPOCHS} epochs")
    print(f"ratio {ours / peer:.3f} ({torch.get_num_threads()} threads)")
    print(result.folder)
    if args.write:
        from experiments.benchmark_table import write_benchmark
        from experiments.tables import Row, commit, read_rows, write_rows
        from reports import read_run

        table, found = PROJECT / "results" / "fastnet.csv", read_run(result.folder).result
        common = {
            "experiment": "fastnet", "report": "own", "dataset": data.name, "seeds": str(args.seed),
            "fingerprint": data.heldout_fingerprint, "metric": "accuracy", "reported": "",
            "n_test": str(len(data.heldout)), "n_seeds": "1", "spread": "",
            "hardware": f"{found['environment']['hardware']}, {torch.get_num_threads()} threads, bf16",
            "command": " ".join(["python", *command]), "commit": commit(), "date": f"{date.today()}",
        }  # fmt: skip
        figures = {"fastnet, 6 views": result.accuracy, "fastnet, 1 view": found["plain_accuracy"]}
        rows = [
            Row(setting=setting, measured=f"{value:.4f}", seconds=f"{ours:.1f}", **common)
            for setting, value in figures.items()
        ]
        write_rows(table, [*read_rows(table), *rows])
        ratios = [ours * rate / (EPOCHS * IMAGES) for rate in rates]
        write_benchmark(
            claim="fastnet trains in 0.4 of airbench94's time", ours="fastnet", peer="airbench94",
            work=f"CIFAR-10, 45,000 images fitted, held-out {result.accuracy:.4f}", ours_seconds=ours,
            peer_seconds=peer, ratios=ratios, threads=torch.get_num_threads(), command=command,
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
