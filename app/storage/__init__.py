"""PostgreSQL as a projection of the derived topics: migrations, how records become rows, and how to
start over.

May touch: PostgreSQL; `rebuild` also the broker.
"""
