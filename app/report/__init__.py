"""The audit's report: tables for a terminal (`text.py`), and one page for a browser (`page.py`).

May touch: nothing but its arguments.
"""
