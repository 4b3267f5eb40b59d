"""Benchmarks: each module has a `main()` that runs radgate and its peer in the same process run and prints a ratio."""
