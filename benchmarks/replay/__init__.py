"""How fast a replay relearns a whole log, compared with a bare loop that reads and parses the same
topic in the same run.

python -m benchmarks.replay --trades 1000000
"""
