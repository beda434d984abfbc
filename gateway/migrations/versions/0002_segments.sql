-- Messages that are priced by segment: how many they were, in or out.

ALTER TABLE message ADD COLUMN segments integer;
ALTER TABLE message ADD CONSTRAINT message_segments CHECK (segments >= 0);

-- A line speaks several channels: an SMS opens no WhatsApp window, and STOP by SMS is said to SMS only.
ALTER TABLE service_window ADD COLUMN channel text NOT NULL DEFAULT 'whatsapp';
ALTER TABLE service_window ALTER COLUMN channel DROP DEFAULT;
ALTER TABLE service_window ADD CONSTRAINT service_window_channel CHECK (channel IN ('whatsapp', 'sms'));
ALTER TABLE service_window DROP CONSTRAINT service_window_pkey;
ALTER TABLE service_window ADD CONSTRAINT service_window_pkey PRIMARY KEY (tenant_id, line_id, contact_id, channel);
