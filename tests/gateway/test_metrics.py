from gateway.metrics import Metrics


def test_what_was_counted_can_be_read() -> None:
    metrics = Metrics()
    metrics.turns.labels("charged").inc()
    metrics.webhooks.labels("meta", "accepted").inc(2)
    metrics.charged_millicredits.inc(480_000)
    metrics.turn_overhead_s.observe(0.004)
    metrics.queue_age_s.labels("outbox").set(1.5)
    lines = metrics.render().decode().splitlines()
    assert 'turnmeter_turns_total{state="charged"} 1.0' in lines
    assert 'turnmeter_webhooks_total{outcome="accepted",provider="meta"} 2.0' in lines
    assert "turnmeter_charged_millicredits_total 480000.0" in lines
    assert 'turnmeter_turn_overhead_seconds_bucket{le="0.005"} 1.0' in lines
    assert 'turnmeter_queue_age_seconds{queue="outbox"} 1.5' in lines


def test_two_sets_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.refunded_millicredits.inc(5)
    assert b"turnmeter_refunded_millicredits_total 0.0" in other.render()
