"""`run_bow.py --step 1 --k 8 --fresh` as a whole process, with and without the processor's 8-bit products.

    python benchmarks/run_bow_with_and_without.py

From the start of the interpreter to the finished run folder: reading, describing, the vocabulary, histograms,
neighbours, figures and page. The row tells the peak of memory. Nothing is taken from a cache but compiled
kernels; that both write the same predictions is checked.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from joblib import cpu_count

from experiments.benchmark_table import benchmark_parser, side_by_side
from experiments.data import PROJECT, load_data
from reports.environment import peak_memory_bytes


def main() -> int:
    parser = benchmark_parser(__doc__)
    args = parser.parse_args()
    dataset, _ = load_data()
    with tempfile.TemporaryDirectory() as folder:
        predictions: dict[str, bytes] = {}

        def run(products: str) -> None:
            command = [sys.executable, "scripts/run_bow.py", "--step", "1", "--k", "8", "--fresh",
                       "--runs-dir", folder]  # fmt: skip
            environment = os.environ | {"SCENEBENCH_VNNI": products}
            subprocess.run(command, env=environment, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
            newest = max(Path(folder).glob("*/predictions.csv"), key=lambda path: path.stat().st_mtime)
            predictions[products] = newest.read_bytes()
            assert len(set(predictions.values())) == 1

        run("1")
        peak = peak_memory_bytes() / 1e9
        side_by_side(
            "run_bow.py --step 1 --k 8 --fresh, with 8-bit products against without",
            ours=("with", partial(run, "1")), peer=("without", partial(run, "0")),
            work=f"{len(dataset.train)} + {len(dataset.test)} images of {dataset.name}, whole process, "
            f"peak of memory {peak:.2f} GB", threads=cpu_count(), packages=("numba", "numpy", "pillow"),
            runs=args.runs, path=args.results,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
