"""What was learned, as flat tables in files: Parquet or CSV, straight from the topics.

May touch: `tables` reads the broker and, for what was in force at a time, PostgreSQL; `files`
writes the file.

`columns` says what a column is, `tables` which there are and where their rows come from, `files`
how they are written.
"""
