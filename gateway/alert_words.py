"""The words for every kind of alert, in German and in English (pure; see gateway.alert_texts).

No text holds what a customer wrote, or a customer's number: an alert's detail has ids and codes only, and the page that
the mail leads to shows the rest to whoever may see it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class AlertText:
    """One alert as people read it: a headline without a full stop, and what it means for them."""

    title: str
    body: str


Texts = Mapping[str, AlertText]

GERMAN: Final[Texts] = {
    "low_balance": AlertText(
        "Guthaben unter {percent} %",
        "Es sind noch {balance} Credits übrig, {percent} % oder weniger des Stands nach der letzten Gutschrift. "
        "{days_left}Sind sie aufgebraucht, antwortet der Agent nicht mehr, bis neue Credits da sind.",
    ),
    "paused": AlertText(
        "Guthaben aufgebraucht: Der Agent antwortet nicht mehr",
        "Es sind noch {balance} Credits übrig, zu wenig für die nächste Antwort. Nachrichten werden gespeichert. "
        "Sobald Credits gutgeschrieben sind, geht es von selbst weiter: unbeantwortete Gespräche werden dann "
        "beantwortet, die neuesten zuerst, solange es auf ihrem Kanal noch erlaubt ist.",
    ),
    "over_budget": AlertText(
        "Ein Tageslimit ist erreicht",
        "Ein Kontakt, ein Agent oder ein Kanal hat sein Tageslimit erreicht. Bis morgen geschieht dort, was dafür "
        "eingestellt ist. Wenn das zu früh war, erhöhen Sie das Limit beim Agenten.",
    ),
    "model_down": AlertText(
        "Das Sprachmodell hat nicht geantwortet",
        "Kein Modell hat geantwortet. Betroffene Kunden haben auf WhatsApp die Entschuldigung bekommen, sonst nichts; "
        "berechnet wurde nichts. Meist geht es nach kurzer Zeit wieder.",
    ),
    "written_unanswered": AlertText(
        "Etwas wurde erledigt, aber nicht bestätigt",
        "Ein Werkzeug hat etwas eingetragen, etwa einen Termin, doch die Antwort darauf kam nicht zustande. "
        "Sehen Sie im Gespräch nach und bestätigen Sie es dem Kunden.",
    ),
    "window_closed": AlertText(
        "Eine WhatsApp-Nachricht durfte nicht mehr gesendet werden",
        "Die letzte Nachricht des Kunden ist über 24 Stunden her. Was nicht gesendet wurde, ist gutgeschrieben. "
        "Geantwortet werden kann wieder, sobald der Kunde schreibt.",
    ),
    "delivery_failed": AlertText(
        "Eine Nachricht kam nicht an",
        "Der Anbieter hat eine Nachricht nicht zugestellt. Nicht Zugestelltes ist gutgeschrieben. Im Gespräch steht "
        "der Fehlercode des Anbieters.",
    ),
    "undelivered": AlertText(
        "Eine SMS hat das Telefon nicht erreicht",
        "Die SMS ging hinaus, aber das Netz konnte sie nicht zustellen; auch solche werden berechnet. Im Gespräch "
        "steht der Fehlercode. Vielleicht ist das Telefon aus: Schreiben Sie später noch einmal, oder rufen Sie an.",
    ),
    "sms_flood": AlertText(
        "Jemand schreibt sehr viele SMS",
        "Ein Kontakt hat heute mehr SMS geschickt, als an einem Tag angenommen werden. Die weiteren werden "
        "gespeichert, aber weder berechnet noch beantwortet, bis morgen.",
    ),
    "provider_payment": AlertText(
        "Ihr WhatsApp-Konto kann nicht bezahlen",
        "Meta konnte Ihr eigenes WhatsApp-Business-Konto nicht belasten und stellt deshalb nichts zu. Hinterlegen Sie "
        "dort ein Zahlungsmittel. Mit Ihren Credits hier hat das nichts zu tun.",
    ),
    "provider_account": AlertText(
        "Ein Konto beim Anbieter ist eingeschränkt",
        "Der Anbieter hat das Konto hinter einer Ihrer Leitungen eingeschränkt oder gesperrt; Nachrichten gehen dort "
        "nicht hinaus. Prüfen Sie das Konto beim Anbieter.",
    ),
    "late_message": AlertText(
        "Eine Nachricht kam zu spät",
        "Der Anbieter hat eine Nachricht erst zugestellt, als nicht mehr darauf geantwortet werden durfte. Rufen Sie "
        "den Kunden an, oder warten Sie auf seine nächste Nachricht.",
    ),
    "handover": AlertText(
        "Ein Gespräch braucht einen Menschen",
        "Der Agent hat ein Gespräch abgegeben und schweigt dort. Antworten Sie, und geben Sie es ihm danach zurück.",
    ),
    "message_taken": AlertText(
        "Am Telefon wurde eine Nachricht hinterlassen",
        "Jemand hat bei einem Anruf eine Nachricht für Sie hinterlassen. Sie steht im Gespräch, mit der Nummer für den "
        "Rückruf, falls eine genannt wurde.",
    ),
    "agent_unreadable": AlertText(
        "Ein Agent muss neu veröffentlicht werden",
        "Ein gespeicherter Agent passt nicht mehr zu dieser Version und kann nicht antworten. Seine Gespräche warten "
        "auf einen Menschen. Spielen Sie seine Datei noch einmal ein.",
    ),
    "rental_soon": AlertText(
        "Die Miete einer Nummer wird bald fällig",
        "Am {due_on} werden {rent} Credits Miete für eine Ihrer Nummern fällig, und das Guthaben reicht dafür nicht. "
        "Ohne Gutschrift wird die Nummer dann stillgelegt.",
    ),
    "rental_unpaid": AlertText(
        "Die Miete einer Nummer ist offen",
        "Das Guthaben hat für {rent} Credits Miete einer Ihrer Nummern nicht gereicht. Sie ist stillgelegt: "
        "Nachrichten werden gespeichert, aber nicht beantwortet. Die nächste Gutschrift bezahlt sie; sonst wird sie am "
        "{release_on} freigegeben.",
    ),
    "number_released": AlertText(
        "Eine Nummer wurde freigegeben",
        "Die Miete einer Ihrer Nummern blieb 30 Tage lang offen. Die Nummer gehört Ihnen nicht mehr.",
    ),
    "number_order_failed": AlertText(
        "Eine Nummer konnte nicht bestellt werden",
        "Eine bestellte Nummer war nicht zu bekommen. Berechnet wurde nichts; bestellen Sie eine andere.",
    ),
    "invoice_open": AlertText(
        "Eine Rechnung ist offen",
        "Ein neuer Abrechnungszeitraum hat begonnen. Die Credits Ihres Tarifs werden gutgeschrieben, sobald die "
        "Rechnung {reference} bezahlt ist (zahlbar bis {due_on}).",
    ),
    "plan_not_on_offer": AlertText(
        "Ein Tarif wird nicht mehr angeboten",
        "Den Tarif {plan} gibt es nicht mehr. Ihr Tarif läuft weiter, wie er zuletzt galt, bis Sie einen anderen "
        "wählen.",
    ),
    "webhook_disabled": AlertText(
        "Ein Webhook wurde abgeschaltet",
        "Ein Empfänger Ihrer Ereignisse hat fünf Tage lang nicht angenommen, was an ihn ging, oder hat gesagt, dass es "
        "ihn nicht mehr gibt. Schalten Sie ihn wieder ein, wenn er erreichbar ist.",
    ),
    "call_crashed": AlertText(
        "Ein Telefonat ist abgebrochen",
        "Ein Telefonat wurde durch eine Störung bei uns unterbrochen. Was bis dahin gesagt wurde, steht im Gespräch; "
        "rufen Sie den Kunden zurück, wenn etwas offen ist.",
    ),
}
ENGLISH: Final[Texts] = {
    "low_balance": AlertText(
        "Credits below {percent} %",
        "{balance} credits are left, {percent} % or less of what there was after the last grant. "
        "{days_left}When they are used up, the agent no longer answers until there are new ones.",
    ),
    "paused": AlertText(
        "Credits are used up: the agent no longer answers",
        "{balance} credits are left, too few for the next answer. Messages are stored. Once credits are granted it "
        "goes on by itself: unanswered conversations are then answered, the newest first, while their channel still "
        "allows it.",
    ),
    "over_budget": AlertText(
        "A daily limit is reached",
        "A contact, an agent or a channel has reached its daily limit. Until tomorrow happens there what you chose for "
        "it. If that was too early, raise the limit of the agent.",
    ),
    "model_down": AlertText(
        "The language model did not answer",
        "No model answered. On WhatsApp the customers concerned got the apology, elsewhere nothing; nothing was "
        "charged. Mostly it works again after a short while.",
    ),
    "written_unanswered": AlertText(
        "Something was done but not confirmed",
        "A tool has written something down, an appointment perhaps, but the answer about it failed. Look at the "
        "conversation and confirm it to the customer.",
    ),
    "window_closed": AlertText(
        "A WhatsApp message could no longer be sent",
        "The customer's last message is more than 24 hours old. What was not sent is refunded. You can write again "
        "once the customer has.",
    ),
    "delivery_failed": AlertText(
        "A message did not arrive",
        "The provider did not deliver a message. What was not delivered is refunded. The conversation shows the "
        "provider's error code.",
    ),
    "undelivered": AlertText(
        "An SMS did not reach the phone",
        "The SMS left, but the network could not deliver it; such ones are charged too. The conversation shows the "
        "error code. Perhaps the phone is off: write again later, or call.",
    ),
    "sms_flood": AlertText(
        "Somebody writes very many SMS",
        "A contact has sent more SMS today than are taken on one day. Further ones are stored but neither charged nor "
        "answered, until tomorrow.",
    ),
    "provider_payment": AlertText(
        "Your WhatsApp account cannot pay",
        "Meta could not charge your own WhatsApp business account, so it delivers nothing. Add a means of payment "
        "there. Your credits here have nothing to do with it.",
    ),
    "provider_account": AlertText(
        "An account at the provider is restricted",
        "The provider has restricted or locked the account behind one of your lines; messages do not leave it. "
        "Look at the account there.",
    ),
    "late_message": AlertText(
        "A message came too late",
        "The provider delivered a message when it could no longer be answered. Call the customer, or wait for the next "
        "message.",
    ),
    "handover": AlertText(
        "A conversation needs a person",
        "The agent has handed a conversation over and is silent there. Answer, and give it back afterwards.",
    ),
    "message_taken": AlertText(
        "Somebody left a message on the phone",
        "A caller has left a message for you. It stands in the conversation, with the number to call back if one was "
        "given.",
    ),
    "agent_unreadable": AlertText(
        "An agent has to be published again",
        "A stored agent no longer fits this version and cannot answer. Its conversations wait for a person. Apply its "
        "file again.",
    ),
    "rental_soon": AlertText(
        "The rent of a number is due soon",
        "On {due_on} a rent of {rent} credits is due for one of your numbers, more than there is. Without a grant the "
        "number is then suspended.",
    ),
    "rental_unpaid": AlertText(
        "The rent of a number is unpaid",
        "The credits did not suffice for {rent} credits of rent of one of your numbers. It is suspended: messages are "
        "stored but not answered. The next grant pays it; otherwise it is released on {release_on}.",
    ),
    "number_released": AlertText(
        "A number was released",
        "The rent of one of your numbers was unpaid for 30 days. The number is no longer yours.",
    ),
    "number_order_failed": AlertText(
        "A number could not be ordered",
        "A number that you ordered was not to be had. Nothing was charged; order another.",
    ),
    "invoice_open": AlertText(
        "An invoice is open",
        "A new billing cycle has begun. The credits of your plan are granted once invoice {reference} is paid (due by "
        "{due_on}).",
    ),
    "plan_not_on_offer": AlertText(
        "A plan is no longer on offer",
        "There is no plan {plan} any more. Yours goes on as it last was until you choose another.",
    ),
    "webhook_disabled": AlertText(
        "A webhook was switched off",
        "A receiver of your events has taken nothing for five days, or said that it is gone. Switch it on again when "
        "it can be reached.",
    ),
    "call_crashed": AlertText(
        "A phone call broke off",
        "A phone call was interrupted by a fault on our side. What had been said until then is in the conversation; "
        "call the customer back if something is open.",
    ),
}
LANGUAGES: Final[Mapping[str, Texts]] = {"de": GERMAN, "en": ENGLISH}
UNKNOWN: Final[Texts] = {
    "de": AlertText("Hinweis zu Ihrem Konto", "Es gibt etwas Neues, das Sie sich ansehen sollten."),
    "en": AlertText("A notice about your account", "There is something new that you should look at."),
}
DAYS_LEFT: Final[Mapping[str, tuple[str, str, str]]] = {
    "de": (
        "Beim jetzigen Verbrauch reichen sie keinen ganzen Tag mehr. ",
        "Beim jetzigen Verbrauch reichen sie noch etwa einen Tag. ",
        "Beim jetzigen Verbrauch reichen sie noch etwa {} Tage. ",
    ),
    "en": (
        "At the current pace they do not last another whole day. ",
        "At the current pace they last about one more day. ",
        "At the current pace they last about {} more days. ",
    ),
}
