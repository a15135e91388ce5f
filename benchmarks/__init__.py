"""What the README's numbers come from: `make bench`, or `python -m benchmarks [names...]`."""
