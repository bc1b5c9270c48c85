"""Why an override is what it is, and why a context resolves as it does: one document, shown in
three ways.

May touch: nothing but their arguments, except `reading` (the broker and PostgreSQL, read only).

`known.Known` is what is known of a module; `override.explain_override` and
`context.explain_context` turn it into the structs of `document`; `sections` puts them into words,
which `text` prints and `page.html` makes a fragment of a page.  `--json` is the document itself.
"""

from app.explain.context import explain_context
from app.explain.document import ContextDocument, OverrideDocument
from app.explain.known import Known
from app.explain.override import explain_override
from app.explain.page import html

__all__ = [
    "ContextDocument",
    "Known",
    "OverrideDocument",
    "explain_context",
    "explain_override",
    "html",
]
