-- What is told outside: when an alert was mailed.

ALTER TABLE alert ADD COLUMN mailed_at timestamptz;
