// Every word of the page, by language.
export const WORDS = {
  de: {
    claim: "Sie sind der Kunde. Rechts läuft der Zähler.", meter: "Was die letzte Antwort gekostet hat", wallet: "Guthaben in Credits",
    window: "24-Stunden-Fenster", receipt: "Beleg", no_receipt: "Noch kein Beleg. Schreiben Sie dem Salon.", try: "Ausprobieren",
    grant: "1.000 Credits gutschreiben", drain: "Guthaben fast leeren", repeat: "Webhook 20-mal wiederholen",
    give_back: "Wieder die KI antworten lassen", late: "Nachricht 25 Stunden zu spät", journey: "Weg der letzten Nachricht", recent: "Letzte Antworten in diesem Chat", react: "Reagieren", you_are: "Sie schreiben als", send: "Senden",
    send_image: "Bild senden", picture: "Gesendetes Bild", send_voice: "Text als Sprachnachricht senden", emoji: "Emoji", new_customer: "Als jemand anderes schreiben",
    offline: "Offline-Modell, regelbasiert", online: "online", typing: "schreibt …", today: "Heute", yesterday: "Gestern", message: "Nachricht",
    empty: "Schreiben Sie, als wären Sie Kundin oder Kunde. Unten stehen Vorschläge.",
    held: "{held} davon zurückgelegt", paused: "Pausiert: Guthaben reicht nicht", active: "Aktiv",
    open_until: "Antworten erlaubt bis {time}", closed: "geschlossen", closed_note: "Es wird nichts gesendet und nichts berechnet", none: "–", none_note: "Beginnt mit der ersten Nachricht",
    sum: "Summe", before: "Guthaben vorher", after: "Guthaben nachher", free: "kostenlos", refunded: "Zurückerstattet", rates: "Preisliste {version}",
    items: { chat_input: "Gelesener Text", chat_output: "Geschriebener Text", tool_use: "Werkzeuge", whatsapp_message: "WhatsApp-Nachrichten", absorbed: "Übernommen" },
    units: { chat_input: ["Token", "Token"], chat_output: ["Token", "Token"], tool_use: ["Aufruf", "Aufrufe"], whatsapp_message: ["Nachricht", "Nachrichten"] },
    steps: {
      taken: "Webhook geprüft", held: "Zurückgelegt", answered: "Beantwortet", charge: "Berechnet", charged: "{amount} berechnet", sent: "Gesendet", delivered: "Zugestellt", read: "Gelesen", failed: "Nicht zugestellt",
      waits: { window: "Fenster zu: keine Antwort", credits: "Guthaben reicht nicht: keine Antwort", budget: "Tageslimit erreicht: keine Antwort", unpaid: "Nicht bezahlt: keine Antwort" }, human: "Ein Mensch antwortet",
    },
    done: { grant: "Gutgeschrieben.", drain: "Es bleiben 20 Credits.", repeat: "Derselbe Webhook kam noch 20-mal an. Antwort und Beleg gibt es trotzdem nur einmal.", late: "Ein Webhook kam 25 Stunden zu spät. Das Fenster ist zu: keine Antwort, keine Kosten.", customer: "Neues Gespräch.", give_back: "Ab jetzt antwortet wieder die KI.", error: "Das ging nicht." },
    quick: ["Was kostet ein Haarschnitt?", "Haben Sie morgen Nachmittag etwas frei für einen Haarschnitt?", "Der erste passt", "Wann haben Sie geöffnet?", "Meinen Termin bitte absagen", "Mensch bitte"],
  },
  en: {
    claim: "You are the customer. The meter runs beside it.", meter: "What the last answer cost", wallet: "Balance in credits",
    window: "24-hour window", receipt: "Receipt", no_receipt: "No receipt yet. Write to the salon.", try: "Try it",
    grant: "Grant 1,000 credits", drain: "Nearly empty the wallet", repeat: "Repeat the webhook 20 times",
    give_back: "Let the AI answer again", late: "Message 25 hours late", journey: "The last message's way", recent: "Latest answers in this chat", react: "React", you_are: "You are writing as", send: "Send",
    send_image: "Send a picture", picture: "Picture sent", send_voice: "Send the text as a voice note", emoji: "Emoji", new_customer: "Write as somebody else",
    offline: "Offline model, rule-based", online: "online", typing: "typing …", today: "Today", yesterday: "Yesterday", message: "Message",
    empty: "Write as if you were a customer. There are suggestions below.",
    held: "{held} of it held", paused: "Paused: not enough credits", active: "Active",
    open_until: "Answers allowed until {time}", closed: "closed", closed_note: "Nothing is sent and nothing charged", none: "–", none_note: "Begins with the first message",
    sum: "Total", before: "Balance before", after: "Balance after", free: "free", refunded: "Refunded", rates: "Rate card {version}",
    items: { chat_input: "Text read", chat_output: "Text written", tool_use: "Tools", whatsapp_message: "WhatsApp messages", absorbed: "Absorbed" },
    units: { chat_input: ["token", "tokens"], chat_output: ["token", "tokens"], tool_use: ["call", "calls"], whatsapp_message: ["message", "messages"] },
    steps: {
      taken: "Webhook verified", held: "Held", answered: "Answered", charge: "Charged", charged: "{amount} charged", sent: "Sent", delivered: "Delivered", read: "Read", failed: "Not delivered",
      waits: { window: "Window closed: no answer", credits: "Not enough credits: no answer", budget: "Daily limit reached: no answer", unpaid: "Not paid: no answer" }, human: "A person answers",
    },
    done: { grant: "Granted.", drain: "20 credits are left.", repeat: "The same webhook came 20 times more. There is still one answer and one receipt.", late: "A webhook came 25 hours late. The window is closed: no answer, no cost.", customer: "A new conversation.", give_back: "The AI answers again from now on.", error: "That did not work." },
    quick: ["How much is a haircut?", "Do you have anything free tomorrow afternoon for a haircut?", "The first one works", "When are you open?", "Please cancel my appointment", "Human please"],
  },
};
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
