-- What `integrated` learns besides lessons: regime weights, latent factors, and the history of edges.

CREATE TABLE learning_regime_weights (
    regime_id      text PRIMARY KEY,
    learning       text NOT NULL,
    module         text NOT NULL,
    regime         text NOT NULL,
    n_cells        bigint NOT NULL,
    n_trades       bigint NOT NULL,
    weights        jsonb NOT NULL,
    sds            jsonb NOT NULL,
    centres        jsonb NOT NULL,
    p_value        double precision NOT NULL,
    active         boolean NOT NULL,
    as_of          timestamptz NOT NULL,
    version        bigint NOT NULL,
    schema_version integer NOT NULL
);
COMMENT ON TABLE learning_regime_weights IS
    'How far, in a regime (canonical text; empty: all), each quality metric tells which edges persist.';

CREATE TABLE learning_latent_factors (
    factor_id      text PRIMARY KEY,
    learning       text NOT NULL,
    module         text NOT NULL,
    representative text NOT NULL,
    members        text[] NOT NULL,
    cohesion       double precision NOT NULL,
    as_of          timestamptz NOT NULL,
    version        bigint NOT NULL,
    schema_version integer NOT NULL
);
COMMENT ON TABLE learning_latent_factors IS 'Lessons (members) whose trades are nearly the same: one piece of evidence.';

CREATE TABLE learning_edge_history (
    lesson_id       text NOT NULL,
    day             date NOT NULL,
    learning        text NOT NULL,
    module          text NOT NULL,
    pattern_key     text NOT NULL,
    action_category text NOT NULL,
    n               bigint NOT NULL,
    predicted       double precision NOT NULL,
    uplift          double precision NOT NULL,
    metrics         jsonb NOT NULL,
    regimes         jsonb NOT NULL,
    version         bigint NOT NULL,
    schema_version  integer NOT NULL,
    PRIMARY KEY (lesson_id, day)
);
CREATE INDEX learning_edge_history_day ON learning_edge_history (day);
COMMENT ON TABLE learning_edge_history IS
    'A lesson on one UTC day of event time: predicted before it, realised within it. '
    'After every batch the projector deletes what is more than 400 days older than the newest day in the table.';
