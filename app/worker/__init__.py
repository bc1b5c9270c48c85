"""What a worker process is made of: the Faust app, preflight, health, logs, and how it fails and
stops."""
