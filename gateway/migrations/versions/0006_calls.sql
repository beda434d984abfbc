-- Phone calls: the call itself, legs that it was forwarded on, and notices that were spoken beforehand.

-- Leads to a tenant's call; single use. Only the hash is kept: the token itself is in Twilio's hands.
CREATE TABLE call_token (
  token_hash bytea NOT NULL,
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  CONSTRAINT call_token_pkey PRIMARY KEY (token_hash)
);
CREATE INDEX call_token_expired ON call_token (expires_at);

-- offered: answered with TwiML, the stream has not begun. live: a process pumps it. forwarding: a person is being
-- dialled or has it. away: its stream ended to begin again elsewhere. ended and declined are final.
CREATE TABLE call (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  line_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  agent_version integer NOT NULL,
  call_sid text NOT NULL,
  caller text,                                   -- E.164; NULL: withheld
  engine text NOT NULL,
  rate_card text NOT NULL,
  state text NOT NULL DEFAULT 'offered',
  lease_until timestamptz NOT NULL,              -- until when its process answers for it; renewed while it lives
  lease_epoch bigint NOT NULL DEFAULT 0,
  minutes_charged integer NOT NULL DEFAULT 0,    -- started minutes, of the caller's leg
  input_tokens bigint NOT NULL DEFAULT 0,        -- settled so far
  output_tokens bigint NOT NULL DEFAULT 0,
  progress jsonb NOT NULL DEFAULT '{}',          -- what a stream that begins again goes on from
  provider_usage jsonb NOT NULL DEFAULT '{}',    -- the engine's own count; stored, never charged
  figures jsonb NOT NULL DEFAULT '{}',           -- how it went: latencies, underruns, reconnects
  end_reason text,
  offered_at timestamptz NOT NULL,
  stream_started_at timestamptz,
  ended_at timestamptz,
  duration_s integer,                            -- Twilio's CallDuration
  reconciled_at timestamptz,
  recording text NOT NULL DEFAULT 'none',        -- none, asked, refused, running, stored, failed
  recording_sid text,
  recording_duration_s integer,
  recording_consent_at timestamptz,
  CONSTRAINT call_pkey PRIMARY KEY (tenant_id, call_id),
  CONSTRAINT call_sid_unique UNIQUE (tenant_id, call_sid),
  CONSTRAINT call_state CHECK (state IN ('offered', 'live', 'forwarding', 'away', 'ended', 'declined')),
  CONSTRAINT call_ended CHECK ((ended_at IS NOT NULL) = (state IN ('ended', 'declined'))),
  CONSTRAINT call_recording CHECK (recording IN ('none', 'asked', 'refused', 'running', 'stored', 'failed')),
  CONSTRAINT call_recording_consent CHECK (recording IN ('none', 'asked', 'refused') OR recording_consent_at IS NOT NULL),
  CONSTRAINT call_not_negative CHECK (minutes_charged >= 0 AND input_tokens >= 0 AND output_tokens >= 0)
) WITH (fillfactor = 70);
CREATE INDEX call_open ON call (lease_until) WHERE state IN ('offered', 'live', 'forwarding', 'away');
CREATE INDEX call_conversation ON call (tenant_id, conversation_id, offered_at);
CREATE INDEX call_recent ON call (tenant_id, offered_at DESC, call_id DESC);

-- A person's leg of a forwarded call: minutes of its own, charged beside the caller's.
CREATE TABLE call_leg (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  leg integer NOT NULL,
  leg_sid text,
  state text NOT NULL DEFAULT 'dialling',
  time_limit_s integer NOT NULL,
  minutes_charged integer NOT NULL DEFAULT 0,
  outcome text,                                  -- completed, busy, no-answer, failed, canceled
  dialled_at timestamptz NOT NULL,
  answered_at timestamptz,
  ended_at timestamptz,
  duration_s integer,
  reconciled_at timestamptz,
  CONSTRAINT call_leg_pkey PRIMARY KEY (tenant_id, call_id, leg),
  CONSTRAINT call_leg_state CHECK (state IN ('dialling', 'answered', 'ended')),
  CONSTRAINT call_leg_ended CHECK ((ended_at IS NOT NULL) = (state = 'ended')),
  CONSTRAINT call_leg_minutes CHECK (minutes_charged >= 0)
);

-- What is said without a model: made once per wording, voice and language. Telephone audio: mu-law, 8 kHz, mono.
CREATE TABLE voice_notice (
  tenant_id uuid NOT NULL,
  notice_hash bytea NOT NULL,
  audio bytea NOT NULL,
  created_at timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  CONSTRAINT voice_notice_pkey PRIMARY KEY (tenant_id, notice_hash)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON call_token TO turnmeter_app;

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['call', 'call_leg', 'voice_notice'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant_only ON %I TO turnmeter_app USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)',
      name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO turnmeter_app', name);
  END LOOP;
END $$;

CREATE POLICY queue_sees_all ON call TO turnmeter_queue USING (true);
GRANT SELECT (tenant_id, call_id, state, lease_until, lease_epoch), UPDATE (lease_until, lease_epoch) ON call TO turnmeter_queue;
