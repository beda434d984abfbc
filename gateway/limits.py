"""Every limit of the gateway, by name: nothing waits, grows or repeats without an end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The shipped limits; tests and settings change single ones."""

    # A burst of messages is one turn.
    burst_quiet_ms: int = 1_500
    burst_media_quiet_ms: int = 3_000
    burst_cap_ms: int = 8_000
    # The service window (reference: Meta's customer service window), closed a little early for clocks that differ.
    window_margin_s: int = 60
    window_margin_unstamped_s: int = 300  # where the provider does not say when the customer wrote
    # SMS from one contact on one line and day that are charged and answered.
    sms_received_per_day: int = 50
    # One turn.
    turns_in_flight: int = 64
    turns_per_tenant: int = 48
    lease_s: float = 30.0
    crashes_max: int = 3
    drafts_abandoned_max: int = 2
    hold_wait_s: float = 10.0
    answer_floor_tokens: int = 128
    reasoning_tokens: int = 2_000
    prompt_tokens: int = 8_000
    history_messages: int = 60
    parts_max: int = 3
    typing_refresh_s: float = 20.0
    # Media.
    image_bytes: int = 5 * 1024 * 1024
    voice_note_bytes: int = 16 * 1024 * 1024
    voice_note_s: float = 300.0
    media_timeout_s: float = 10.0
    # Phone calls.
    calls_per_process: int = 100
    calls_per_tenant: int = 10
    loop_lag_max_s: float = 0.02  # p95 of the last seconds; beyond it a call is declined rather than made worse
    stream_begins_s: float = 15.0  # after the answer to Twilio's question; then what is held is let go
    token_lives_s: float = 60.0
    first_audio_s: float = 15.0  # of worst-case audio that must be affordable besides a minute's fee
    hold_ahead_s: float = 8.0  # before a minute begins, it is paid or its end prepared
    call_lease_s: float = 30.0
    adopt_s: float = 1.0  # a forwarded call that no process watches is looked for so often
    unwatched_s: float = 120.0  # for so long another process may take it over; then it is ended
    # The outbox.
    sends_in_flight: int = 64
    send_attempts: int = 5
    send_for_s: float = 3_600.0
    unknown_wait_s: float = 600.0
    # The loop.
    poll_s: float = 0.5
    sweep_s: float = 5.0
    recurring_at: str | None = None  # when all recurring work runs, instead of its own times: for tests
    drain_s: float = 25.0
    webhook_bytes: int = 4 * 1024 * 1024
    webhook_days: int = 30
    # Webhooks out.
    webhooks_in_flight: int = 32
    webhooks_per_tenant: int = 8
    webhook_answer_s: float = 15.0
    webhooks_may_stay_inside: bool = False  # tests and the demo post to this machine; nobody else may

    def margin_for(self, provider: str) -> int:
        """Return how many seconds early a line's window closes; Twilio's messages carry no time of their own."""
        return self.window_margin_unstamped_s if provider == "twilio" else self.window_margin_s
