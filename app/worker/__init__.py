"""The parts of a worker process: the Faust app, preflight checks, health, logs, fatal errors and
the stop."""
