"""Segments (bucket × timeframe): their order, and the sums of a window by them.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math

from app.learning.common.trade import SegmentKey
from app.learning.common.window import Snapshot
from schemas.lessons import SegmentSum


def segment_sums(snapshot: Snapshot) -> tuple[SegmentSum, ...]:
    """Count, sum and sum of squares of the outcomes of home trades, by segment.

    The sums are rounded once (`math.fsum`), so that the order of trades does not matter.

    Parameters
    ----------
    snapshot
        The window of a group.

    Returns
    -------
    One entry for each segment with home trades, in `segment_order`; sums in units of the outcome.
    """
    sums = []
    for segment in sorted(
        range(len(snapshot.segments)), key=lambda s: segment_order(snapshot.segments[s])
    ):
        outcome = snapshot.outcome[snapshot.home & (snapshot.segment == segment)]
        if len(outcome):
            bucket, timeframe = snapshot.segments[segment]
            total, squares = math.fsum(outcome.tolist()), math.fsum((outcome * outcome).tolist())
            sums.append(
                SegmentSum(
                    bucket=bucket, timeframe=timeframe, n=len(outcome), sum=total, sum_sq=squares
                )
            )
    return tuple(sums)


def segment_order(segment: SegmentKey) -> tuple[bool, str, bool, str]:
    """Sort key of segments; unknown values come first.

    Parameters
    ----------
    segment
        Bucket and timeframe.

    Returns
    -------
    The key.
    """
    bucket, timeframe = segment
    return bucket is not None, bucket or "", timeframe is not None, timeframe or ""
