"""What one process counts about its work; read by Prometheus at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

OVERHEAD_BUCKETS_S = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters and gauges with a registry of their own, so that tests and processes do not share any.

    Labels never carry a tenant, a contact or a number: their values are few and known.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = self._counter("webhooks", "Webhooks by provider and outcome.", "provider", "outcome")
        self.turns = self._counter("turns", "Turns by the state in which they ended.", "state")
        self.turn_overhead_s = Histogram(
            "turnmeter_turn_overhead_seconds",
            "A turn's own time: without the model's and the burst's.",
            buckets=OVERHEAD_BUCKETS_S,
            registry=self.registry,
        )
        self.model_requests = self._counter("model_requests", "Requests to the model by outcome.", "outcome")
        self.charged_millicredits = self._counter("charged_millicredits", "Charged, before refunds.")
        self.refunded_millicredits = self._counter("refunded_millicredits", "Given back.")
        self.absorbed_millicredits = self._counter("absorbed_millicredits", "True cost above the hold, not charged.")
        self.sms_uncollected = self._counter("sms_uncollected", "Received SMS that nobody paid, by reason.", "reason")
        self.segments_undercharged = self._counter(
            "segments_undercharged", "Segments that Twilio counted beyond what was charged."
        )
        self.calls = self._counter("calls", "Calls by the reason for which they ended.", "reason")
        self.call_minutes = self._counter("call_minutes", "Minutes of calls that have begun, on every leg.")
        self.voice_tokens = self._counter("voice_tokens", "Tokens of audio or words settled in calls.", "direction")
        self.sends = self._counter("sends", "Attempts to send by provider and outcome.", "provider", "outcome")
        self.holds_waiting = Gauge(
            "turnmeter_holds_waiting", "Turns that wait for credits in flight.", registry=self.registry
        )
        self.queue_age_s = Gauge(
            "turnmeter_queue_age_seconds",
            "How long the oldest due piece of work has waited.",
            ["queue"],  # conversations, outbox
            registry=self.registry,
        )
        self.loop_lag_s = Gauge(
            "turnmeter_loop_lag_seconds",
            "How late the event loop wakes its sleepers: p95 of the last seconds.",
            registry=self.registry,
        )
        self.calls_live = Gauge("turnmeter_calls_live", "Phone calls in this process.", registry=self.registry)

    def render(self) -> bytes:
        """Return all values in Prometheus's text format (CONTENT_TYPE)."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"turnmeter_{name}", meaning, labels, registry=self.registry)
