"""Kafka I/O outside Faust: sending, bulk reading, look-ups and administration.

May touch: the broker.  Agents receive through Faust; every other client is made here.

| file | what |
|---|---|
| `client.py` | the options of every client |
| `admin.py` | an admin client |
| `consumer.py` | the consumer of every reader, and the offsets of several topics |
| `topics.py` | the declared topics: create, check, correct |
| `acls.py` | the rights that each role needs |
| `records.py` | records to send, and their headers |
| `trace.py` | the trace context, passed from record to record |
| `producer.py` | send and await every delivery; one transaction as a whole |
| `bulk_reader.py` | read in bulk, without a consumer group |
| `fetcher.py` | single records by topic, partition and offset |
| `snapshot.py` | what is published: the latest version of each key |
| `skipped.py` | count and name records that cannot be read |
| `consumer_groups.py` | the names of the consumer groups, and their members |
| `progress.py` | committed offsets: how far a role is done |
| `lag.py` | how far each role is behind, and what blocks it |
| `shared_offsets.py` | offsets, read once for all monitors of a worker |
| `log_identity.py` | which log was read: noted, and compared with the current one |
| `unread_closes.py` | closes that were deleted before they were read |
| `control.py` | the log in which workers make claims |
| `retry.py` | back off, and stop on request |
| `connection_errors.py` | why a connection to the broker failed |
"""
