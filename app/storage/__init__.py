"""PostgreSQL as a projection of the derived topics; `app/stages/projector.py` fills it.

| file | what |
|---|---|
| `tables.py` | the table of each derived topic |
| `projection.py` | records as rows: the newest version of a key wins |
| `keyed_table.py`, `facts_table.py` | the two kinds of tables |
| `migrate.py` | the migrations in `app/migrations` |
| `connect.py`, `rights.py` | connecting, and what the projector may do |
| `projected_log.py` | the log from which the tables were filled |
| `lost_rows.py`, `rebuild.py` | whether rows are missing, and filling the tables again |
| `accept.py` | accept a log that replaced another one |

May touch: PostgreSQL; `accept`, `lost_rows`, `projected_log` and `rebuild` also the broker.
"""
