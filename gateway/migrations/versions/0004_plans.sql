-- Plans: what was agreed for the next cycle.

ALTER TABLE subscription ADD COLUMN next_plan text;
