"""What a worker process is made of: the Faust app, the owners of partition state, health, and how it fails and stops."""
