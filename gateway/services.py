"""What every part of a process shares, wired once by `gateway.app.build_services`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from agents.model import ChatModel, Speaker, Transcriber
from agents.store import VersionCache
from gateway.arrivals import Arrivals
from gateway.channels.base import MessageChannel
from gateway.db import Database
from gateway.group_commit import Ledger
from gateway.limits import Limits
from gateway.live_calls import LiveCalls
from gateway.loop_lag import LoopLag
from gateway.metrics import Metrics
from gateway.payments import PaymentProvider
from gateway.secret_box import SecretBox
from gateway.settings import Settings
from gateway.throttle import Throttle
from gateway.twilio.rest import TwilioRest
from metering.plans import Plans
from metering.rates import RateCards
from metering.tokens import CountTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The server, the worker, the commands, the demo and the tests use the same."""

    settings: Settings
    limits: Limits
    db: Database
    ledger: Ledger
    rate_cards: RateCards
    plans: Plans
    payments: PaymentProvider
    count_tokens: CountTokens
    secret_box: SecretBox
    arrivals: Arrivals
    versions: VersionCache  # of agents: never change, so a process keeps them
    chat_model: ChatModel
    transcriber: Transcriber
    speaker: Speaker
    channels: Mapping[str, MessageChannel]  # by who carries it: "meta", "twilio", "twilio_sms"
    twilio: TwilioRest | None  # None: no account is configured
    live_calls: LiveCalls
    loop_lag: LoopLag
    throttle: Throttle
    metrics: Metrics
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]

    def after(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)

    def lease_until(self, now: datetime) -> datetime:
        """Return how long work taken up now belongs to its worker, unless renewed."""
        return now + timedelta(seconds=self.limits.lease_s)
