"""`python -m bench [NAME...]`: all benchmarks, or the named ones; one that fails does not stop the others."""

import importlib
import pkgutil
import signal
import sys
import time
import traceback

import bench


def main() -> int:
    """Run them; the exit code counts the failures."""
    # A benchmark that is ended from outside must end the service that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    there = sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if not m.name.startswith("_"))
    wanted = sys.argv[1:] or there
    failures = 0
    for name in wanted:
        if name not in there:
            print(f"there is no benchmark '{name}'; there are {', '.join(there)}")
            return 1
        print(f"\n=== {name}", flush=True)
        began = time.monotonic()
        try:
            # What it returns is not 0 where a limit is broken.
            failures += bool(importlib.import_module(f"bench.{name}").main())
        except Exception:  # noqa: BLE001 - the boundary between benchmarks: printed and counted
            traceback.print_exc()
            failures += 1
        print(f"--- {name}: {time.monotonic() - began:.1f} s", flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
