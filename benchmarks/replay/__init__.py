"""How fast a replay learns a whole log again, against a bare loop that reads and parses the same
topic in the same run.

python -m benchmarks.replay --trades 1000000
"""
