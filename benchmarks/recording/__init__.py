"""The records and rows of a run of the sample, as text, so that two versions of the code can be
compared byte by byte.

python -m benchmarks.recording before            # in the old checkout
python -m benchmarks.recording after             # in the new one
diff -r before after
"""
