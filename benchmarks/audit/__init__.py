"""Are the audit's answers right?  Logs whose truth is known, audited; see docs/audit.md.

Run with `python -m benchmarks.audit`.
"""
