"""Backfill: the whole log, or a part of it, learned anew in bulk into a shadow beside what is live;
compared, and promoted or dropped.

1. `span.py` says which closed trades count, `run.py` runs the stages below, `pool.py` spreads them
   over processes.
2. `explode.py` (from closes and from files only): closes become trades in a spool on disk
   (`spool.py`), by partition of their group.
3. `fold.py`: partition by partition, trades are sifted (`sieve.py`), and what is inside a group's
   window is learned from once, at the end.
4. `judge.py`: module by module, the lessons are judged.
5. Every result is written to the shadow (`shadow.py`), a PostgreSQL schema of its own, in one
   transaction with the note that it is done: what was killed goes on from there.
6. `digest.py` says in one word whether two sets of records say the same; `live.py` reads what is
   published.
7. `promote.py` publishes what differs, as one Kafka transaction.

Nothing but the last writes to Kafka, and nothing joins a consumer group or commits an offset.
"""
