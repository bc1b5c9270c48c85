"""Words that commands and pages share.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeloop.scope import canonical_text


def context_text(scope: Mapping[str, str]) -> str:
    """The canonical text of a scope; `every context` for the scope of a whole group.

    >>> context_text({"chain": "sol", "btc_macro": "S1"}), context_text({})
    ('btc_macro=S1|chain=sol', 'every context')
    """
    return canonical_text(scope) or "every context"
