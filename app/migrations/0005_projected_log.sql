-- Which log the rows are of: offsets of another one are no versions to compare with.
CREATE TABLE projected_log (
    topic        text        NOT NULL,
    partition    integer     NOT NULL,
    cluster_id   text        NOT NULL,
    topic_id     text        NOT NULL,
    leader_epoch integer     NOT NULL,
    next_offset  bigint      NOT NULL,
    noted_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE projected_log IS 'Of each partition of a derived topic: the ids of its log, and up to where its records are in the tables.';
