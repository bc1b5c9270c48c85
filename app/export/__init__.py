"""What was learned, as flat tables in files: Parquet or CSV, straight from the topics.

May touch: the tables' files read the broker and, for the past, PostgreSQL; `files` writes the file.

`columns.py` says what a column is, `exported.py` what a table is; `lessons.py`, `overrides.py`,
`modules.py` and `trades.py` have the tables and where their rows come from, `tables.py` their
names, and `files.py` writes them.
"""
