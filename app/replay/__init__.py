"""Backfill: relearn the whole log, or a part of it, in bulk into a shadow beside the live records;
compare, then promote or drop it.

1. `span.py` says which closed trades count, `run.py` runs the stages below, `pool.py` spreads them
   over processes.
2. `explode.py` (from closes and from files only): closes become trades in a spool on disk
   (`spool.py`), by partition of their group.
3. `fold.py`: partition by partition, trades are sifted (`sieve.py`), and what is inside a group's
   window is learned from once, at the end.
4. `judge.py`: module by module, the lessons are judged.
5. Every result is written to the shadow (`shadow.py`), a PostgreSQL schema of its own, in one
   transaction with its progress, so that an interrupted run resumes there.
6. `digest.py` hashes a set of records, to compare two of them; `published.py` reads what is
   published.
7. `promote.py` publishes what differs, as one Kafka transaction.

Nothing but the last writes to Kafka, and nothing joins a consumer group or commits an offset.

May touch: the broker, files (read only), a work folder, PostgreSQL (the shadow), processes of its
own.
"""
