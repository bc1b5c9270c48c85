"""Kafka I/O outside Faust: sending, bulk reading, look-ups and administration.

May touch: the broker.  Agents receive through Faust; every other client is made here.

| file | what |
|---|---|
| `client.py` | the options of every client |
| `admin.py` | an admin client |
| `topics.py` | the declared topics: create, check, correct |
| `records.py` | records to send, and their headers |
| `producer.py` | send and await every delivery; one transaction as a whole |
| `bulk_reader.py` | read in bulk, without a consumer group |
| `fetcher.py` | single records by topic, partition and offset |
| `snapshot.py` | what is published: the latest version of each key |
| `groups.py` | the names of the consumer groups, and their members |
| `progress.py` | committed offsets: how far a role is done |
| `lag.py` | how far each role is behind, and what blocks it |
| `identity.py` | which log was read: noted, and compared with the current one |
| `unread_closes.py` | closes that were deleted before they were read |
| `retry.py` | back off, and stop on request |
"""
