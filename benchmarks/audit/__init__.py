"""Check the audit's answers on logs whose truth is known; see docs/audit.md.

Run with `python -m benchmarks.audit`.
"""
