"""What Twilio reports on a message that it took: one callback for each step, in no guaranteed order."""

import asyncio
import random
from dataclasses import dataclass

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_account import TwilioAccount
from gateway.simulator.twilio_wire import Form, Message


@dataclass(frozen=True, slots=True)
class Step:
    """One word about a message, and Twilio's code if something went wrong."""

    word: str
    error_code: int | None = None


class Callbacks:
    """Moves messages on and posts what has become of them."""

    def __init__(self, account: TwilioAccount) -> None:
        self._account = account
        self._withheld: list[tuple[str, list[Form]]] = []

    def report(self, message: Message) -> None:
        """Let a message take its way, in the background."""
        steps = self._steps(message)
        faults = self._account.faults
        forms = []
        for step in steps:
            _move(message, step, self._account)
            forms.append(wire.status_form(message, step.word, error_code=step.error_code, at=self._account.now()))
        if not message.callback or faults.callbacks_lost:
            return
        if faults.callbacks_shuffled:
            random.shuffle(forms)
        if faults.callbacks_withheld:
            self._withheld.append((message.callback, forms))
        else:
            self._account.spawn(self._post(message.callback, forms, faults.copies))

    async def release(self) -> None:
        """Let withheld callbacks go, and the following ones at once."""
        self._account.faults.callbacks_withheld = False
        withheld, self._withheld = self._withheld, []
        await asyncio.gather(*(self._post(url, forms, self._account.faults.copies) for url, forms in withheld))

    def _steps(self, message: Message) -> list[Step]:
        faults = self._account.faults
        if not self._account.window_is_open(message):
            return [Step("queued"), Step("failed", 63016)]
        if faults.failed_later_codes:
            return [Step("queued"), Step("failed", faults.failed_later_codes.pop(0))]
        if faults.undelivered_later_codes:
            return [Step("queued"), Step("sent"), Step("undelivered", faults.undelivered_later_codes.pop(0))]
        seen = [Step("read")] if message.is_whatsapp else []
        return [Step("queued"), Step("sent"), Step("delivered"), *seen]

    async def _post(self, url: str, forms: list[Form], copies: int) -> None:
        for form in forms:
            await asyncio.gather(*(self._account.postman.deliver(url, form) for _ in range(copies)))


def _move(message: Message, step: Step, account: TwilioAccount) -> None:
    message.status, message.error_code = step.word, step.error_code
    if step.word == "sent":
        message.sent_at = account.now()
        message.segments_said = True
