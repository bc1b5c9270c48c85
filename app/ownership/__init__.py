"""Ownership of partitions: state is read from the log, each record is folded once, and outputs are
published until the log has them.

May touch: the broker.  A stage (`app/stages/owned.py`) defines the state; this package handles
records, offsets and rebalances, and knows nothing about learning.

The log is the state and memory is a cache, so everything here follows one protocol:

1. On every rebalance (Faust's `on_rebalance_complete`, while the streams are still paused) drop
   lost partitions and read each owned one from its own folded offset, or the beginning, to the end;
   then commit that end, so that Faust starts there (`hydration.py`).
2. An event from Faust is folded if its offset is the next one, skipped if it is older; if it is
   newer, the gap is read from the log.  So each record is folded once and in order, whatever Faust
   repeats or omits.  Events of partitions without state are ignored: the rebalance in progress
   reads them (`partition.py`).
3. Folding and refitting happen on one thread, off the event loop.  What differs from what was last
   published is sent with the folded offset as its version; every delivery is awaited (`owner.py`).
4. When nothing is left to fold or to send, the folded offset is noted as progress.
5. Records that another worker wrote (a predecessor that was frozen publishes its last batch late)
   are recognised by the `writer` header; then everything published is read again, and the next
   refit corrects what differs (`watch.py`, `publication.py`).
"""

from app.ownership.owner import PartitionOwner

__all__ = ["PartitionOwner"]
