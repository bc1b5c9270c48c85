"""PostgreSQL as a projection of the derived topics: migrations, the mapping of records to rows, and
rebuilding.

May touch: PostgreSQL; `rebuild` also the broker.
"""
