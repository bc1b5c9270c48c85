"""The audit's report: tables for a terminal, and one page for a browser."""
