-- Numbers: the rental month that is paid, how long a month has been owed, and numbers on order.

ALTER TABLE line ADD COLUMN rented_until date;      -- the first day that is not paid; NULL: none has been
ALTER TABLE line ADD COLUMN unpaid_since date;      -- the day on which a month could not be paid
ALTER TABLE line ADD COLUMN twilio_number_sid text; -- if we ordered the number and have not given it back
UPDATE line SET rented_until = (provisioned_on + interval '1 month')::date WHERE state = 'active';
UPDATE line SET unpaid_since = greatest(provisioned_on, current_date) WHERE state = 'suspended';
ALTER TABLE line ADD CONSTRAINT line_unpaid_not_active CHECK (unpaid_since IS NULL OR state <> 'active');

-- held: the first month is set aside. buying: Twilio has been, or is about to be, asked; its outcome is looked up.
CREATE TABLE number_order (
  tenant_id uuid NOT NULL,
  order_id uuid NOT NULL,                -- Twilio's name for the number is this
  line_id uuid NOT NULL,                 -- what the line will be
  number text NOT NULL,
  kind text NOT NULL,
  country text NOT NULL,
  agent_id uuid NOT NULL,
  channels text[] NOT NULL,
  bundle_sid text,                       -- what the country's regulator wants to see
  address_sid text,
  state text NOT NULL DEFAULT 'held',
  attempts integer NOT NULL DEFAULT 0,   -- how often Twilio was asked for the number
  claimed_until timestamptz NOT NULL,    -- one process at a time asks Twilio
  failure text,
  created_at timestamptz NOT NULL,
  ended_at timestamptz,
  CONSTRAINT number_order_pkey PRIMARY KEY (tenant_id, order_id),
  CONSTRAINT number_order_kind CHECK (kind IN ('local', 'mobile')),
  CONSTRAINT number_order_state CHECK (state IN ('held', 'buying', 'done', 'failed')),
  CONSTRAINT number_order_ended CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'failed')))
);
CREATE INDEX number_order_open ON number_order (claimed_until) WHERE state IN ('held', 'buying');

ALTER TABLE number_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON number_order TO turnmeter_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON number_order TO turnmeter_app;

CREATE POLICY queue_sees_all ON line TO turnmeter_queue USING (true);
CREATE POLICY queue_sees_all ON number_order TO turnmeter_queue USING (true);
GRANT SELECT (tenant_id, state, rented_until, provisioned_on, twilio_number_sid) ON line TO turnmeter_queue;
GRANT SELECT (tenant_id, state, claimed_until) ON number_order TO turnmeter_queue;
