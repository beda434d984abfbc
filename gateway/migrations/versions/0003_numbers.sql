-- Numbers: the rental month that is paid, and how long a month has been owed.

ALTER TABLE line ADD COLUMN rented_until date;      -- the first day that is not paid
ALTER TABLE line ADD COLUMN unpaid_since date;      -- the day a month fell due that could not be paid
ALTER TABLE line ADD COLUMN twilio_number_sid text; -- if we ordered the number: what Twilio calls it
