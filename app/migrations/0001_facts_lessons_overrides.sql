-- The projection of the derived topics.  Every row carries the version that wrote it.
-- Text that is compared as code points (the rank of a close) is COLLATE "C".

CREATE TABLE pattern_trade_events (
    module           text        NOT NULL,
    trade_id         text        NOT NULL,
    pattern_key      text        NOT NULL,
    action_category  text        NOT NULL,
    action_id        text        NOT NULL,
    action_ts        timestamptz NOT NULL,
    scope            jsonb       NOT NULL,
    size_frac        double precision,
    applied_overrides text[]     NOT NULL,
    rr               double precision,
    roi              double precision,
    pnl_usd          double precision,
    position_id      text,
    symbol           text,
    bucket           text,
    timeframe        text,
    entry_ts         timestamptz,
    exit_ts          timestamptz NOT NULL,
    home             boolean     NOT NULL,
    metrics          jsonb       NOT NULL,
    -- with exit_ts the rank by which one of several closes of a trade counts
    revision         bigint      NOT NULL,
    n_actions        integer     NOT NULL,
    event_id         text        COLLATE "C" NOT NULL,
    value_sha256     text        COLLATE "C" NOT NULL,
    version          bigint      NOT NULL,
    PRIMARY KEY (module, trade_id, pattern_key, action_category, action_id)
);
-- Time first: an index that began with the pattern would compete with the primary key when a batch looks for the rows of its trades.
CREATE INDEX pattern_trade_events_time ON pattern_trade_events (exit_ts, pattern_key, action_category);
COMMENT ON TABLE pattern_trade_events IS 'An action of a closed trade; of several closes of one trade the highest rank is here.';

CREATE TABLE learning_lessons (
    lesson_id            text PRIMARY KEY,
    module               text NOT NULL,
    pattern_key          text NOT NULL,
    action_category      text NOT NULL,
    scope                jsonb NOT NULL,
    learning             text NOT NULL,
    -- the lesson: evidence
    n                    bigint,
    mean                 double precision,
    variance             double precision,
    decay_state          text,
    decay_halflife_hours double precision,
    stats                jsonb,
    evidence_from        timestamptz,
    evidence_to          timestamptz,
    as_of                timestamptz,
    lesson_version       bigint,
    -- the verdict: what the materializer made of it
    effect               double precision,
    effect_sd            double precision,
    edge_raw             double precision,
    baseline             double precision,
    multiplier           double precision,
    confidence           double precision,
    latent_factor_id     text,
    decision             text,
    reason               text,
    override_id          text,
    judged_lesson_version bigint,
    verdict_version      bigint,
    version              bigint GENERATED ALWAYS AS (greatest(lesson_version, verdict_version)) STORED
);
CREATE INDEX learning_lessons_group ON learning_lessons (pattern_key, action_category);
CREATE INDEX learning_lessons_scope ON learning_lessons USING gin (scope);
COMMENT ON TABLE learning_lessons IS
    'A lesson with its verdict.  Each half comes from its own topic, in any order, under its own version; a missing half is null.';

CREATE TABLE learning_baselines (
    baseline_id    text PRIMARY KEY,
    learning       text NOT NULL,
    module         text NOT NULL,
    bucket         text,
    timeframe      text,
    n              bigint NOT NULL,
    mean           double precision NOT NULL,
    variance       double precision NOT NULL,
    as_of          timestamptz NOT NULL,
    version        bigint NOT NULL,
    schema_version integer NOT NULL
);
COMMENT ON TABLE learning_baselines IS 'What a trade earns on average, whatever its pattern.';

CREATE TABLE pm_overrides (
    override_id      text PRIMARY KEY,
    learning         text NOT NULL,
    module           text NOT NULL,
    pattern_key      text NOT NULL,
    action_category  text NOT NULL,
    scope            jsonb NOT NULL,
    effect           double precision NOT NULL,
    effect_sd        double precision,
    multiplier       double precision NOT NULL,
    confidence       double precision NOT NULL,
    n_trades         bigint NOT NULL,
    baseline         double precision NOT NULL,
    decay            jsonb NOT NULL,
    latent_factor_id text,
    covers           text[] NOT NULL,
    regime_gains     jsonb NOT NULL,
    evidence         jsonb NOT NULL,
    as_of            timestamptz NOT NULL,
    expires_at       timestamptz,
    version          bigint NOT NULL,
    schema_version   integer NOT NULL
);
CREATE INDEX pm_overrides_group ON pm_overrides (pattern_key, action_category);
CREATE INDEX pm_overrides_scope ON pm_overrides USING gin (scope);
COMMENT ON TABLE pm_overrides IS 'The current overrides; a retired one is in pm_overrides_history only.';

CREATE TABLE pm_overrides_history (
    override_id  text        NOT NULL,
    version      bigint      NOT NULL,
    published_at timestamptz NOT NULL,
    retired      boolean     NOT NULL,
    record       jsonb,
    PRIMARY KEY (override_id, version, published_at, retired)
);
CREATE INDEX pm_overrides_history_time ON pm_overrides_history (published_at);
COMMENT ON TABLE pm_overrides_history IS 'Every published change of an override; record is null where it was retired.';

CREATE TABLE projection_tombstones (
    topic   text   NOT NULL,
    key     text   NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (topic, key)
);
COMMENT ON TABLE projection_tombstones IS 'Versions of deleted keys, so that an older record that comes late does not bring its row back.';
