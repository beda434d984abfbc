-- Messages that are priced by segment: how many they were, in or out.

ALTER TABLE message ADD COLUMN segments integer;
ALTER TABLE message ADD CONSTRAINT message_segments CHECK (segments >= 0);
