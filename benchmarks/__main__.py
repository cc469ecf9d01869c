"""Measurements, each a command: ``make bench`` or ``python -m benchmarks`` runs the one beside the stock server.

python -m benchmarks                        our server beside the stock one
python -m benchmarks --list                 the others
python -m benchmarks NAME [options]         one of them; --help shows its options
"""

import importlib
import pkgutil
import sys

import benchmarks

DEFAULT = "side_by_side"
NAMES = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))

if __name__ == "__main__":
    if sys.argv[1:2] in (["--list"], ["--help"], ["-h"]):
        print(__doc__)
        for name in NAMES:
            title = (importlib.import_module(f"benchmarks.{name}").__doc__ or "").splitlines()[0]
            print(f"{name:20} {title}")
    else:
        named = sys.argv[1:2] if sys.argv[1:2] and sys.argv[1] in NAMES else []
        importlib.import_module(f"benchmarks.{(named or [DEFAULT])[0]}").main(sys.argv[1 + len(named) :])
