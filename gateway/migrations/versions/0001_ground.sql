-- The ground: tenants and their directory, wallets, agents, conversations, queues.
-- tenant_id leads every primary key and unique constraint of business data, so that the schema
-- distributes by tenant unchanged. Directory tables, which lead *to* a tenant, are exempt.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- ---------------------------------------------------------------- directory (globally unique)

CREATE TABLE tenant (
  tenant_id uuid NOT NULL,
  name text NOT NULL,
  timezone text NOT NULL DEFAULT 'Europe/Berlin',
  locale text NOT NULL DEFAULT 'de',
  alert_email text,
  on_account boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL,
  CONSTRAINT tenant_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT tenant_name_unique UNIQUE (name),
  CONSTRAINT tenant_name_not_blank CHECK (btrim(name) <> '')
);

CREATE TABLE line_directory (
  address_kind text NOT NULL,
  address text NOT NULL,
  tenant_id uuid NOT NULL,
  line_id uuid NOT NULL,
  CONSTRAINT line_directory_pkey PRIMARY KEY (address_kind, address),
  CONSTRAINT line_directory_kind CHECK (address_kind IN ('number', 'whatsapp_phone_number_id'))
);

CREATE TABLE api_key (
  key_hash bytea NOT NULL,
  tenant_id uuid NOT NULL,
  api_key_id uuid NOT NULL,
  label text NOT NULL,
  created_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz,
  CONSTRAINT api_key_pkey PRIMARY KEY (key_hash)
);
CREATE INDEX api_key_tenant ON api_key (tenant_id);

CREATE TABLE sign_in (
  email text NOT NULL,
  tenant_id uuid NOT NULL,
  member_id uuid NOT NULL,
  CONSTRAINT sign_in_pkey PRIMARY KEY (email)
);

-- Signed payloads that nobody could be found for, or that could not be read.
CREATE TABLE quarantine (
  quarantine_id uuid NOT NULL,
  provider text NOT NULL,
  reason text NOT NULL,
  detail text NOT NULL,
  body bytea NOT NULL,
  received_at timestamptz NOT NULL,
  CONSTRAINT quarantine_pkey PRIMARY KEY (quarantine_id)
);
CREATE INDEX quarantine_recent ON quarantine (received_at);

-- ---------------------------------------------------------------- tenancy

CREATE TABLE member (
  tenant_id uuid NOT NULL,
  member_id uuid NOT NULL,
  email text NOT NULL,
  role text NOT NULL,
  password_hash text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT member_pkey PRIMARY KEY (tenant_id, member_id),
  CONSTRAINT member_email_unique UNIQUE (tenant_id, email),
  CONSTRAINT member_role CHECK (role IN ('owner', 'staff', 'bookkeeper'))
);

CREATE TABLE line (
  tenant_id uuid NOT NULL,
  line_id uuid NOT NULL,
  number text NOT NULL,
  kind text NOT NULL,
  channels text[] NOT NULL,
  agent_id uuid NOT NULL,
  whatsapp_provider text,
  whatsapp_phone_number_id text,
  whatsapp_access_token_encrypted bytea,
  state text NOT NULL DEFAULT 'active',
  provisioned_on date NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT line_pkey PRIMARY KEY (tenant_id, line_id),
  CONSTRAINT line_number_unique UNIQUE (tenant_id, number),
  CONSTRAINT line_kind CHECK (kind IN ('local', 'mobile')),
  CONSTRAINT line_state CHECK (state IN ('active', 'suspended', 'released')),
  CONSTRAINT line_no_sms_on_local CHECK (kind = 'mobile' OR NOT ('sms' = ANY (channels))),
  CONSTRAINT line_whatsapp_provider CHECK (whatsapp_provider IN ('meta', 'twilio'))
);

-- What the owner must hear of: model down, delivery failed, credits short, unknown outcomes.
CREATE TABLE alert (
  tenant_id uuid NOT NULL,
  alert_id uuid NOT NULL,
  kind text NOT NULL,
  dedupe_key text NOT NULL,
  detail jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  acknowledged_at timestamptz,
  CONSTRAINT alert_pkey PRIMARY KEY (tenant_id, alert_id),
  CONSTRAINT alert_once UNIQUE (tenant_id, dedupe_key)
);

CREATE TABLE idempotency_key (
  tenant_id uuid NOT NULL,
  key text NOT NULL,
  request_hash bytea NOT NULL,
  status integer NOT NULL,
  response jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT idempotency_key_pkey PRIMARY KEY (tenant_id, key)
);

-- ---------------------------------------------------------------- metering

CREATE TABLE wallet (
  tenant_id uuid NOT NULL,
  balance_millicredits bigint NOT NULL DEFAULT 0,
  held_millicredits bigint NOT NULL DEFAULT 0,
  sequence bigint NOT NULL DEFAULT 0,
  chain_hash bytea NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
  state text NOT NULL DEFAULT 'active',
  paused_at timestamptz,
  CONSTRAINT wallet_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT wallet_balance_not_negative CHECK (balance_millicredits >= 0),
  CONSTRAINT wallet_held_not_negative CHECK (held_millicredits >= 0),
  CONSTRAINT wallet_available_not_negative CHECK (balance_millicredits >= held_millicredits),
  CONSTRAINT wallet_state CHECK (state IN ('active', 'paused'))
) WITH (fillfactor = 50);

CREATE TABLE credit_grant (
  tenant_id uuid NOT NULL,
  grant_id uuid NOT NULL,
  kind text NOT NULL,
  reference text NOT NULL,
  reason text NOT NULL,
  amount_millicredits bigint NOT NULL,
  remaining_millicredits bigint NOT NULL,
  granted_at timestamptz NOT NULL,
  expires_at timestamptz,
  expired_at timestamptz,
  CONSTRAINT credit_grant_pkey PRIMARY KEY (tenant_id, grant_id),
  CONSTRAINT credit_grant_once UNIQUE (tenant_id, reference),
  CONSTRAINT credit_grant_kind CHECK (kind IN ('plan', 'refill', 'manual', 'promotion', 'refund')),
  CONSTRAINT credit_grant_amount CHECK (amount_millicredits > 0),
  CONSTRAINT credit_grant_remaining CHECK (remaining_millicredits BETWEEN 0 AND amount_millicredits)
) WITH (fillfactor = 50);
CREATE INDEX credit_grant_live ON credit_grant (tenant_id, expires_at, grant_id) WHERE remaining_millicredits > 0;
CREATE INDEX credit_grant_expiring ON credit_grant (expires_at) WHERE remaining_millicredits > 0 AND expires_at IS NOT NULL;

CREATE TABLE hold (
  tenant_id uuid NOT NULL,
  key text NOT NULL,
  amount_millicredits bigint NOT NULL,
  captured_millicredits bigint,
  state text NOT NULL DEFAULT 'open',
  rate_card text NOT NULL,
  budget_day date,
  budget_scopes text[] NOT NULL DEFAULT '{}',
  opened_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  CONSTRAINT hold_pkey PRIMARY KEY (tenant_id, key),
  CONSTRAINT hold_amount CHECK (amount_millicredits >= 0),
  CONSTRAINT hold_captured CHECK (captured_millicredits BETWEEN 0 AND amount_millicredits),
  CONSTRAINT hold_state CHECK (state IN ('open', 'captured', 'released', 'expired'))
) WITH (fillfactor = 70);
CREATE INDEX hold_open ON hold (expires_at) WHERE state = 'open';

-- The only place where a money key is made unique; kept for good.
CREATE TABLE charge_key (
  tenant_id uuid NOT NULL,
  key text NOT NULL,
  payload_hash bytea NOT NULL,
  sequence bigint NOT NULL,
  CONSTRAINT charge_key_pkey PRIMARY KEY (tenant_id, key)
);

CREATE TABLE ledger_entry (
  tenant_id uuid NOT NULL,
  sequence bigint NOT NULL,
  kind text NOT NULL,
  key text NOT NULL,
  amount_millicredits bigint NOT NULL,
  balance_before_millicredits bigint NOT NULL,
  balance_after_millicredits bigint NOT NULL,
  receipt_id uuid,
  refunds_sequence bigint,
  reason text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  hash bytea NOT NULL,
  CONSTRAINT ledger_entry_pkey PRIMARY KEY (tenant_id, sequence),
  CONSTRAINT ledger_entry_kind CHECK (kind IN ('grant', 'charge', 'refund', 'expiry')),
  CONSTRAINT ledger_entry_adds_up CHECK (balance_after_millicredits = balance_before_millicredits + amount_millicredits),
  CONSTRAINT ledger_entry_balance_not_negative CHECK (balance_after_millicredits >= 0)
);
CREATE INDEX ledger_entry_refunds ON ledger_entry (tenant_id, refunds_sequence) WHERE refunds_sequence IS NOT NULL;
CREATE INDEX ledger_entry_created ON ledger_entry (tenant_id, created_at);

-- Which grants an entry added to or took from: positive added, negative taken.
CREATE TABLE entry_grant (
  tenant_id uuid NOT NULL,
  sequence bigint NOT NULL,
  grant_id uuid NOT NULL,
  amount_millicredits bigint NOT NULL,
  CONSTRAINT entry_grant_pkey PRIMARY KEY (tenant_id, sequence, grant_id)
);

CREATE TABLE receipt (
  tenant_id uuid NOT NULL,
  receipt_id uuid NOT NULL,
  sequence bigint NOT NULL,
  subject text NOT NULL,
  turn_id uuid,
  conversation_id uuid,
  contact_id uuid,
  line_id uuid,
  agent_id uuid,
  agent_version integer,
  channel text,
  rate_card text NOT NULL,
  lines jsonb NOT NULL,
  total_millicredits bigint NOT NULL,
  provider_usage jsonb NOT NULL DEFAULT '{}',
  day date NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT receipt_pkey PRIMARY KEY (tenant_id, receipt_id),
  CONSTRAINT receipt_subject CHECK (subject IN ('turn', 'message', 'received', 'rental', 'call'))
);
CREATE INDEX receipt_conversation ON receipt (tenant_id, conversation_id, created_at);
CREATE INDEX receipt_turn ON receipt (tenant_id, turn_id);
CREATE INDEX receipt_sequence ON receipt (tenant_id, sequence);

-- Rolled up in the ledger's own transaction: charges and refunds by the tenant's day.
CREATE TABLE usage_day (
  tenant_id uuid NOT NULL,
  day date NOT NULL,
  channel text NOT NULL,
  item text NOT NULL,
  quantity bigint NOT NULL,
  amount_millicredits bigint NOT NULL,
  CONSTRAINT usage_day_pkey PRIMARY KEY (tenant_id, day, channel, item)
) WITH (fillfactor = 50);

CREATE TABLE budget_day (
  tenant_id uuid NOT NULL,
  day date NOT NULL,
  scope text NOT NULL,
  held_millicredits bigint NOT NULL DEFAULT 0,
  charged_millicredits bigint NOT NULL DEFAULT 0,
  CONSTRAINT budget_day_pkey PRIMARY KEY (tenant_id, day, scope),
  CONSTRAINT budget_day_not_negative CHECK (held_millicredits >= 0 AND charged_millicredits >= 0)
) WITH (fillfactor = 50);

CREATE TABLE subscription (
  tenant_id uuid NOT NULL,
  plan text NOT NULL,
  anchor_on date NOT NULL,
  cycle integer NOT NULL,
  cycle_starts_on date NOT NULL,
  cycle_ends_on date NOT NULL,
  state text NOT NULL DEFAULT 'active',
  CONSTRAINT subscription_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT subscription_state CHECK (state IN ('active', 'cancelled'))
);

-- ---------------------------------------------------------------- agents

CREATE TABLE agent (
  tenant_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  name text NOT NULL,
  draft jsonb,
  published_version integer,
  created_at timestamptz NOT NULL,
  CONSTRAINT agent_pkey PRIMARY KEY (tenant_id, agent_id),
  CONSTRAINT agent_name_unique UNIQUE (tenant_id, name)
);

CREATE TABLE agent_version (
  tenant_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  version integer NOT NULL,
  configuration jsonb NOT NULL,
  note text NOT NULL DEFAULT '',
  published_at timestamptz NOT NULL,
  CONSTRAINT agent_version_pkey PRIMARY KEY (tenant_id, agent_id, version)
);

CREATE TABLE appointment (
  tenant_id uuid NOT NULL,
  appointment_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  service text NOT NULL,
  during tstzrange NOT NULL,
  state text NOT NULL DEFAULT 'booked',
  customer_name text NOT NULL DEFAULT '',
  note text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  CONSTRAINT appointment_pkey PRIMARY KEY (tenant_id, appointment_id),
  CONSTRAINT appointment_state CHECK (state IN ('booked', 'cancelled')),
  CONSTRAINT appointment_no_overlap EXCLUDE USING gist
    (tenant_id WITH =, agent_id WITH =, during WITH &&) WHERE (state = 'booked')
);
CREATE INDEX appointment_contact ON appointment (tenant_id, contact_id);

-- A tool's recorded result; a later attempt of the turn starts from these.
CREATE TABLE tool_call (
  tenant_id uuid NOT NULL,
  turn_id uuid NOT NULL,
  position integer NOT NULL,
  attempt integer NOT NULL,
  name text NOT NULL,
  arguments jsonb NOT NULL,
  arguments_hash bytea NOT NULL,
  writes boolean NOT NULL,
  state text NOT NULL,
  result text,
  created_at timestamptz NOT NULL,
  CONSTRAINT tool_call_pkey PRIMARY KEY (tenant_id, turn_id, position),
  CONSTRAINT tool_call_state CHECK (state IN ('intended', 'done', 'failed'))
);

-- ---------------------------------------------------------------- conversations

CREATE TABLE contact (
  tenant_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  name text NOT NULL DEFAULT '',
  facts jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  CONSTRAINT contact_pkey PRIMARY KEY (tenant_id, contact_id)
);

-- kind: phone (E.164), bsuid, parent_bsuid. One contact may have several.
CREATE TABLE contact_address (
  tenant_id uuid NOT NULL,
  kind text NOT NULL,
  address text NOT NULL,
  contact_id uuid NOT NULL,
  CONSTRAINT contact_address_pkey PRIMARY KEY (tenant_id, kind, address),
  CONSTRAINT contact_address_kind CHECK (kind IN ('phone', 'bsuid', 'parent_bsuid'))
);
CREATE INDEX contact_address_contact ON contact_address (tenant_id, contact_id);

-- Per (our line, contact, channel): may we write freely, and does the contact want us to.
CREATE TABLE service_window (
  tenant_id uuid NOT NULL,
  line_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  last_customer_message_at timestamptz,
  closed_by_provider_at timestamptz,
  opted_out_at timestamptz,
  CONSTRAINT service_window_pkey PRIMARY KEY (tenant_id, line_id, contact_id)
) WITH (fillfactor = 70);

CREATE TABLE conversation (
  tenant_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  line_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  channel text NOT NULL,
  reply_address_kind text NOT NULL,
  reply_address text NOT NULL,
  agent_id uuid NOT NULL,
  agent_version integer NOT NULL,
  mode text NOT NULL DEFAULT 'agent',
  started_at timestamptz NOT NULL,
  last_message_at timestamptz NOT NULL,
  -- the queue: what the worker's role may see and move
  input_version bigint NOT NULL DEFAULT 0,       -- counts inbound messages that ask for an answer
  pending_since timestamptz,                     -- first unanswered message
  due_at timestamptz,                            -- when the burst ends; NULL: nothing to do
  waiting_for text,                              -- why an unanswered conversation is not due
  lease_until timestamptz,
  lease_epoch bigint NOT NULL DEFAULT 0,
  next_position bigint NOT NULL DEFAULT 1,       -- of the outbox
  away_text_on date,                             -- the tenant's day the away text last went out
  CONSTRAINT conversation_pkey PRIMARY KEY (tenant_id, conversation_id),
  CONSTRAINT conversation_channel CHECK (channel IN ('whatsapp', 'sms', 'voice')),
  CONSTRAINT conversation_mode CHECK (mode IN ('agent', 'human', 'paused')),
  CONSTRAINT conversation_waiting CHECK (waiting_for IN ('credits', 'budget', 'unpaid', 'window'))
) WITH (fillfactor = 50);
CREATE INDEX conversation_of_contact ON conversation (tenant_id, line_id, contact_id, channel, last_message_at DESC);
CREATE INDEX conversation_due ON conversation (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX conversation_waiting ON conversation (tenant_id, pending_since DESC) WHERE waiting_for IS NOT NULL;
CREATE INDEX conversation_recent ON conversation (tenant_id, last_message_at DESC, conversation_id DESC);

CREATE TABLE turn (
  tenant_id uuid NOT NULL,
  turn_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  state text NOT NULL,
  attempt integer NOT NULL DEFAULT 1,            -- names the hold: turn:<id>:<attempt>
  crashes integer NOT NULL DEFAULT 0,
  abandoned_drafts integer NOT NULL DEFAULT 0,
  lease_epoch bigint NOT NULL,
  input_version bigint NOT NULL,                 -- of the conversation when the turn last began
  agent_version integer NOT NULL,
  trace_id text NOT NULL,
  input_tokens integer,
  output_tokens integer,
  failure text,
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  CONSTRAINT turn_pkey PRIMARY KEY (tenant_id, turn_id),
  CONSTRAINT turn_state CHECK (state IN
    ('running', 'charged', 'answered_free', 'unpaid', 'no_credits', 'over_budget', 'window_closed', 'handed_over', 'no_reply', 'failed'))
);
CREATE UNIQUE INDEX turn_running ON turn (tenant_id, conversation_id) WHERE state = 'running';
CREATE INDEX turn_conversation ON turn (tenant_id, conversation_id, started_at);

CREATE TABLE message (
  tenant_id uuid NOT NULL,
  message_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  line_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  direction text NOT NULL,
  author text NOT NULL,
  kind text NOT NULL,
  text text NOT NULL DEFAULT '',
  content jsonb NOT NULL DEFAULT '{}',           -- the channel's details: media ids, location, button, context, referral
  provider_id text,
  turn_id uuid,                                  -- inbound: the turn that answers it; outbound: the turn it is part of
  receipt_id uuid,
  state text NOT NULL,
  failure text,
  reaction text,
  edited_at timestamptz,
  revoked_at timestamptz,
  provider_at timestamptz,
  created_at timestamptz NOT NULL,               -- our receipt, or when it was written
  delivered_at timestamptz,
  read_at timestamptz,
  webhook_id uuid,
  CONSTRAINT message_pkey PRIMARY KEY (tenant_id, message_id),
  CONSTRAINT message_direction CHECK (direction IN ('in', 'out')),
  CONSTRAINT message_author CHECK (author IN ('customer', 'agent', 'member', 'api', 'system')),
  CONSTRAINT message_state CHECK (state IN
    ('received', 'recorded', 'queued', 'sent', 'delivered', 'read', 'failed', 'refunded'))
);
CREATE UNIQUE INDEX message_provider_id ON message (tenant_id, line_id, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX message_conversation ON message (tenant_id, conversation_id, created_at, message_id);
CREATE INDEX message_unanswered ON message (tenant_id, conversation_id) WHERE direction = 'in' AND state = 'received' AND turn_id IS NULL;
CREATE INDEX message_turn ON message (tenant_id, turn_id) WHERE turn_id IS NOT NULL;

-- What came with a message: fetched at once, because the provider's address lives five minutes.
CREATE TABLE message_media (
  tenant_id uuid NOT NULL,
  message_id uuid NOT NULL,
  position integer NOT NULL,
  kind text NOT NULL,
  mime_type text NOT NULL,
  state text NOT NULL,
  failure text,
  sha256 bytea,
  content bytea,
  transcript text,
  fetched_at timestamptz,
  CONSTRAINT message_media_pkey PRIMARY KEY (tenant_id, message_id, position),
  CONSTRAINT message_media_state CHECK (state IN ('fetched', 'failed'))
);

-- The body as it came, for as long as the provider may repeat it and the operator may need it.
CREATE TABLE webhook (
  tenant_id uuid NOT NULL,
  webhook_id uuid NOT NULL,
  provider text NOT NULL,
  body bytea NOT NULL,
  received_at timestamptz NOT NULL,
  CONSTRAINT webhook_pkey PRIMARY KEY (tenant_id, webhook_id)
);

CREATE TABLE delivery_report (
  tenant_id uuid NOT NULL,
  line_id uuid NOT NULL,
  provider_id text NOT NULL,
  status text NOT NULL,
  message_id uuid,
  provider_at timestamptz,
  pricing jsonb,
  errors jsonb,
  received_at timestamptz NOT NULL,
  CONSTRAINT delivery_report_pkey PRIMARY KEY (tenant_id, line_id, provider_id, status)
);

CREATE TABLE outbox (
  tenant_id uuid NOT NULL,
  message_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  line_id uuid NOT NULL,
  turn_id uuid,
  position bigint NOT NULL,                      -- order within the conversation
  charge_key text,                               -- what a refund points at
  refund_lines jsonb NOT NULL DEFAULT '[]',      -- what this part cost: [{item, quantity, …}]
  state text NOT NULL DEFAULT 'pending',
  attempts integer NOT NULL DEFAULT 0,
  unknowns integer NOT NULL DEFAULT 0,           -- attempts whose outcome nobody learned
  due_at timestamptz NOT NULL,
  lease_until timestamptz,
  lease_epoch bigint NOT NULL DEFAULT 0,
  first_attempt_at timestamptz,
  trace_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (tenant_id, message_id),
  CONSTRAINT outbox_order UNIQUE (tenant_id, conversation_id, position),
  CONSTRAINT outbox_state CHECK (state IN ('pending', 'sending', 'unknown', 'sent', 'failed'))
) WITH (fillfactor = 70);
CREATE INDEX outbox_due ON outbox (due_at) WHERE state IN ('pending', 'sending', 'unknown');
CREATE INDEX outbox_open ON outbox (tenant_id, conversation_id, position) WHERE state IN ('pending', 'sending', 'unknown');

-- ---------------------------------------------------------------- roles and walls
-- turnmeter_app sees one tenant at a time; turnmeter_queue sees all tenants' queue columns and nothing else.

-- Roles belong to the whole cluster: another database of it may be making the same ones at this moment.
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['turnmeter_app', 'turnmeter_queue'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOBYPASSRLS', name);
      END IF;
      IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT %I TO %I', name, current_user);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO turnmeter_app, turnmeter_queue;

GRANT SELECT, INSERT, UPDATE ON tenant, api_key, sign_in TO turnmeter_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON line_directory TO turnmeter_app;
GRANT INSERT ON quarantine TO turnmeter_app;
GRANT SELECT ON tenant, quarantine TO turnmeter_queue;

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'member', 'line', 'alert', 'idempotency_key', 'wallet', 'credit_grant', 'hold', 'charge_key', 'ledger_entry',
    'entry_grant', 'receipt', 'usage_day', 'budget_day', 'subscription', 'agent', 'agent_version', 'appointment',
    'tool_call', 'contact', 'contact_address', 'service_window', 'conversation', 'turn', 'message', 'message_media',
    'webhook', 'delivery_report', 'outbox']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant_only ON %I TO turnmeter_app USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)',
      name);
    -- History is written once: entries, receipts and keys can be neither changed nor deleted by the application.
    IF name IN ('ledger_entry', 'entry_grant', 'receipt', 'charge_key', 'agent_version') THEN
      EXECUTE format('GRANT SELECT, INSERT ON %I TO turnmeter_app', name);
    ELSE
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO turnmeter_app', name);
    END IF;
  END LOOP;
  FOREACH name IN ARRAY ARRAY['conversation', 'outbox', 'hold', 'credit_grant', 'wallet'] LOOP
    EXECUTE format('CREATE POLICY queue_sees_all ON %I TO turnmeter_queue USING (true)', name);
  END LOOP;
END $$;

GRANT SELECT (tenant_id, conversation_id, input_version, pending_since, due_at, mode, waiting_for, lease_until, lease_epoch),
      UPDATE (lease_until, lease_epoch) ON conversation TO turnmeter_queue;
GRANT SELECT (tenant_id, message_id, conversation_id, position, state, due_at, attempts, lease_until, lease_epoch),
      UPDATE (state, lease_until, lease_epoch) ON outbox TO turnmeter_queue;
GRANT SELECT (tenant_id, key, state, expires_at), UPDATE (expires_at) ON hold TO turnmeter_queue;
GRANT SELECT (tenant_id, grant_id, expires_at, remaining_millicredits) ON credit_grant TO turnmeter_queue;
GRANT SELECT (tenant_id, state) ON wallet TO turnmeter_queue;
