"""All measurements, one after the other: ``make bench`` or ``python -m benchmarks [NAME ...]``."""

import importlib
import pkgutil
import sys

import benchmarks

NAMES = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main([])
