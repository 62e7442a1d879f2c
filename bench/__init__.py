"""Benchmarks: rates and latencies as ratios to what the engine does by itself."""
