"""Kafka I/O outside Faust: everything that is sent, read in bulk, looked up or managed in the log.

May touch: the broker.  Agents receive through Faust; every other client is made here.

| file | what |
|---|---|
| `client.py` | the options of every client |
| `admin.py` | an admin client |
| `topics.py` | the topics as they have to be: create, check, mend |
| `records.py` | a record on its way out, and what its headers say |
| `producer.py` | send and await every delivery; one transaction as a whole |
| `reader.py` | read in bulk, without a consumer group |
| `fetcher.py` | single records by their places |
| `snapshot.py` | what is published: of each key the record that counts |
| `groups.py` | the names of the consumer groups, and their members |
| `progress.py` | committed offsets: how far a role is done |
| `lag.py` | how far each role is behind, and what is in its way |
| `identity.py` | which log it is: noted, and compared with the one that is there |
| `unread.py` | closes that were deleted before they were read |
| `retry.py` | back off, and stop when told to |
"""
