"""What stands for a character that would turn a text into UCS-2 (pure data).

`SMART` covers the code points that Twilio publishes as replaced by Smart Encoding
(https://www.twilio.com/docs/messaging/services/smart-encoding-char-list). What is sent has been through it already,
so that Twilio finds nothing left to replace and what was counted is what is sent. `SIGNS` and `LETTERS` are ours,
for owners who want no text that costs twice as much.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

# A replacement, and the code points that become it. Where Twilio's choice reads badly, ours differs: a low quotation
# mark is no comma in German, and no space or tab is worth two characters or seven.
_SMART: Final = {
    '"': "00AB 00BB 02BA 02EE 201C 201D 201E 201F 275D 275E 301D 301E",
    "'": "0060 00B4 02B9 02BB 02BC 02BD 02C8 02CA 02CB 0313 0314 2018 2019 201A 201B 275B 275C",
    "/": "00F7 0337 0338 2044 2215 29F8",
    "\\": "20E5 29F5 29F9 FE68",
    "1/4": "00BC",
    "1/2": "00BD",
    "3/4": "00BE",
    "_": "0332 2017",
    "|": "20D2 20D3 2223 239C 239F 23B8 23B9 23D0",
    "-": "2010 2013 2014 2015 2022 2043 23BC 23BD FE63",
    "@": "FE6B",
    "$": "FE69",
    "!": "01C3 FE15 FE57",
    "!!": "203C",
    "#": "FE5F",
    "%": "FE6A",
    "&": "FE60",
    ",": "0326 3001 FE10 FE11 FE50 FE51 FF64",
    "(": "2768 276A 27EE 2985 FE59",
    ")": "2769 276B 27EF 2986 FE5A",
    "*": "204E 2217 229B 2722 2723 2724 2725 2731 2732 2733 273A 273B 273C 273D 2743 2749 274A 274B 29C6 FE61",
    "+": "02D6 FE62",
    ".": "3002 FE52 FF61",
    "...": "2026",
    ":": "02D0 02F8 2982 A789 FE13",
    ";": "204F FE14 FE54",
    "<": "2039 FE64",
    ">": "203A FE65",
    "=": "0347 A78A FE66",
    "?": "FE16 FE56",
    "^": "02C6 0302 1DCD",
    "{": "2774 FE5B",
    "}": "2775 FE5C",
    "~": "02DC 02F7 0303 0330 0334 223C",
    " ": "0009 0080 008D 0090 009B 009F 00A0 2000 2001 2002 2003 2004 2005 2006 2007 2008 2009 200A 2028 2029 202F "
    "205F 3000",
    "": "0000 0003 0004 0010 0011 0012 0013 0014 0017 0019 200B 200C 2060 FEFF",
}
_SMALL_CAPITALS: Final = dict(
    zip("ABCDEFGHIJKLMNOPRSTUVWYZ", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True),
)
# The full-width forms of ASCII, without the small letters and the grave accent, which Twilio leaves as they are.
_FULL_WIDTH: Final = [chr(code) for code in range(0xFF01, 0xFF5F) if not 0xFF40 <= code <= 0xFF5A]

SMART: Final[Mapping[int, str]] = {
    **{int(code, 16): wanted for wanted, codes in _SMART.items() for code in codes.split()},
    **{ord(capital): letter for letter, capital in _SMALL_CAPITALS.items()},
    **{ord(char): unicodedata.normalize("NFKC", char) for char in _FULL_WIDTH},
}

# Signs that a reader knows in ASCII as well. Currencies become their codes: a letter alone could be another one's.
SIGNS: Final[Mapping[int, str]] = str.maketrans(
    {
        "\u2011": "-",  # a hyphen that allows no break
        "\u2012": "-",
        "\u2212": "-",  # minus
        "\u2032": "'",
        "\u2033": '"',
        "→": "->",
        "←": "<-",
        "↔": "<->",
        "⇒": "=>",
        "➔": "->",
        "➜": "->",
        "➡": "->",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "≈": "~",
        "±": "+/-",
        "\u00d7": "x",
        "·": "-",
        "‣": "-",
        "◦": "-",
        "▪": "-",
        "▫": "-",
        "▸": "-",
        "►": "-",
        "●": "-",
        "○": "-",
        "■": "-",
        "□": "-",
        "★": "*",
        "❗": "!",
        "❕": "!",
        "❓": "?",
        "❔": "?",
        "⁉": "!?",
        "¦": "|",
        "µ": "u",
        "©": "(c)",
        "®": "(R)",
        "¢": "c",
        "℃": "°C",
        "℉": "°F",
        "₺": "TRY",
        "₽": "RUB",
        "₹": "INR",
        "₴": "UAH",
        "₪": "ILS",
        "₩": "KRW",
        "\u000b": "\n",
        "\u0085": "\n",
    }
)

# Letters of Latin alphabets that are more than a letter with a mark, or whose mark has a near relative in GSM-7.
LETTERS: Final[Mapping[int, str]] = str.maketrans(
    {
        "ẞ": "SS",
        "Ł": "L",
        "ł": "l",
        "Đ": "D",
        "đ": "d",
        "Ð": "D",
        "ð": "d",
        "Þ": "Th",
        "þ": "th",
        "ı": "i",  # noqa: RUF001 - the Turkish one
        "Ħ": "H",
        "ħ": "h",
        "Ŋ": "Ng",
        "ŋ": "ng",
        "Ŧ": "T",
        "ŧ": "t",
        "Œ": "OE",
        "œ": "oe",
        "Ő": "Ö",
        "ő": "ö",
        "Ű": "Ü",
        "ű": "ü",
    }
)
# Vietnamese: without their marks these are other words.
MEANT_BY_THEIR_MARKS: Final = frozenset("ƠơƯư") | {chr(code) for code in range(0x1EA0, 0x1EFA)}
