"""Measurements, each a command.

python -m benchmarks                    what make bench runs, one after the other:
                                        {runs}
python -m benchmarks --quick            the same, tiny: do they run? Their figures mean nothing
python -m benchmarks --list             all there are
python -m benchmarks NAME [options]     one of them; --help shows its options
"""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Sequence

import benchmarks

RUNS = {
    "side_by_side": (),
    "qa_page": ("--studies", "3", "--candidates", "6"),
    "ct_pipeline": ("--studies", "2", "--passes", "20"),
    "acceleration": (),
    "ultrasound": (),
    "large_pacs": (),
}
NAMES = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return 0 if all went well."""
    match list(arguments):
        case [] | ["--quick"]:
            return max([_in_a_process(name, arguments or options) for name, options in RUNS.items()])
        case [name, *options] if name in NAMES:
            importlib.import_module(f"benchmarks.{name}").main(options)
            return 0
        case ["--list" | "--help" | "-h"]:
            print((__doc__ or "").format(runs=", ".join(RUNS)))
            for name in NAMES:
                title = (importlib.import_module(f"benchmarks.{name}").__doc__ or "").splitlines()[0]
                print(f"{name:20} {title}")
            return 0
    print(f"There is no measurement {' '.join(arguments)!a}; python -m benchmarks --list", file=sys.stderr)
    return 2


def _in_a_process(name: str, options: Sequence[str]) -> int:
    """Run a measurement so that it neither warms the next one up nor stops it; return its exit status."""
    print(f"\n{name} {' '.join(options)}", flush=True)
    return subprocess.run([sys.executable, "-m", "benchmarks", name, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
