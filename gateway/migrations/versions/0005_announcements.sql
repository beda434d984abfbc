-- What is told outside: the mark that a low balance is measured by, mail to owners, webhooks to their systems.

-- ---------------------------------------------------------------- the wallet's full mark

ALTER TABLE wallet ADD COLUMN full_millicredits bigint NOT NULL DEFAULT 0; -- the balance right after the last grant
ALTER TABLE wallet ADD COLUMN full_sequence bigint NOT NULL DEFAULT 0;     -- that grant's entry; 0: none yet
ALTER TABLE wallet ADD CONSTRAINT wallet_full_not_negative CHECK (full_millicredits >= 0);

UPDATE wallet w SET full_millicredits = granted.balance_after_millicredits, full_sequence = granted.sequence
FROM (SELECT DISTINCT ON (tenant_id) tenant_id, sequence, balance_after_millicredits
      FROM ledger_entry WHERE kind = 'grant' ORDER BY tenant_id, sequence DESC) granted
WHERE w.tenant_id = granted.tenant_id;

-- ---------------------------------------------------------------- mail

ALTER TABLE alert ADD COLUMN mailed_at timestamptz;
ALTER TABLE alert ADD COLUMN mail_due_at timestamptz;       -- NULL: mailed, or not to be mailed any more
ALTER TABLE alert ADD COLUMN mail_lease_until timestamptz;  -- a process is mailing it until then
ALTER TABLE alert ADD COLUMN mail_attempts integer NOT NULL DEFAULT 0;
CREATE INDEX alert_mail_due ON alert (mail_due_at) WHERE mail_due_at IS NOT NULL;

CREATE POLICY queue_sees_all ON alert TO turnmeter_queue USING (true);
GRANT SELECT (tenant_id, alert_id, mail_due_at, mail_lease_until, mail_attempts, created_at),
      UPDATE (mail_due_at, mail_lease_until, mail_attempts) ON alert TO turnmeter_queue;

-- ---------------------------------------------------------------- webhooks out

CREATE TABLE webhook_endpoint (
  tenant_id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  url text NOT NULL,
  kinds text[] NOT NULL DEFAULT '{}',            -- of events; none named: all, those to come too
  secret_encrypted bytea NOT NULL,
  previous_secret_encrypted bytea,               -- signs beside the new one for a while
  previous_secret_until timestamptz,
  enabled boolean NOT NULL DEFAULT true,
  disabled_reason text,
  failing_since timestamptz,                     -- since the last success: the first failure
  created_at timestamptz NOT NULL,
  CONSTRAINT webhook_endpoint_pkey PRIMARY KEY (tenant_id, endpoint_id),
  CONSTRAINT webhook_endpoint_disabled_reason CHECK (disabled_reason IN ('by_hand', 'gone', 'failing')),
  CONSTRAINT webhook_endpoint_disabled CHECK (enabled = (disabled_reason IS NULL)),
  CONSTRAINT webhook_endpoint_previous CHECK ((previous_secret_encrypted IS NULL) = (previous_secret_until IS NULL))
);

-- One event on its way to one endpoint. The event keeps its id however often it is sent.
CREATE TABLE webhook_delivery (
  tenant_id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  event_id uuid NOT NULL,
  kind text NOT NULL,
  subject_id uuid NOT NULL,                      -- what it is about: one event of a kind for each
  body jsonb NOT NULL,
  state text NOT NULL DEFAULT 'pending',
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  lease_until timestamptz,
  lease_epoch bigint NOT NULL DEFAULT 0,
  last_status integer,
  last_latency_ms integer,
  last_error text,
  created_at timestamptz NOT NULL,
  delivered_at timestamptz,
  CONSTRAINT webhook_delivery_pkey PRIMARY KEY (tenant_id, endpoint_id, event_id),
  CONSTRAINT webhook_delivery_once UNIQUE (tenant_id, endpoint_id, kind, subject_id),
  CONSTRAINT webhook_delivery_state CHECK (state IN ('pending', 'delivered', 'failed')),
  CONSTRAINT webhook_delivery_due CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_created ON webhook_delivery (tenant_id, created_at);

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['webhook_endpoint', 'webhook_delivery'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant_only ON %I TO turnmeter_app USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)',
      name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO turnmeter_app', name);
  END LOOP;
END $$;

CREATE POLICY queue_sees_all ON webhook_delivery TO turnmeter_queue USING (true);
GRANT SELECT (tenant_id, endpoint_id, event_id, state, next_attempt_at, lease_until, lease_epoch),
      UPDATE (lease_until, lease_epoch) ON webhook_delivery TO turnmeter_queue;
