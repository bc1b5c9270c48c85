"""Speed of the pipeline on this machine, as ratios against a bare peer in the same run.

Run: python -m benchmarks.pipeline --help
"""
