-- Whether an override is sure by itself, or one of many effects that only count together.

ALTER TABLE pm_overrides ADD COLUMN part text NOT NULL DEFAULT 'selected';
COMMENT ON COLUMN pm_overrides.part IS
    'selected: an effect that is sure by itself; shared: one of many that only count together. '
    'Changes of the past have theirs in pm_overrides_history.record; where it is missing it is selected.';
