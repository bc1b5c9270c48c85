"""The dashboard: what is learned, whether it helps, and why a size is what it is, for a browser.

May touch: the broker, PostgreSQL and workers' `/metrics` (all read only), one listening socket, and
the processes of its own pool.

* `feed` holds the last known state of each source, with its age and its current error;
* `broker`, `database` and `worker_metrics` read the sources repeatedly;
* `background` has the work that takes seconds (explanations, the learners' record, attribution,
  shadows), done in processes of its own so that pages stay quick;
* `table`, `heat`, `charts`, `summary` and `formatting` turn records into what pages show;
* `access` decides who may send requests; `web` serves the pages, `api` answers programs, `server`
  runs the process.
"""
