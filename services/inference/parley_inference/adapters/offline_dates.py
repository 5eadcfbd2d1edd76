"""Finds when something is to happen, in a plain request: "tomorrow at nine", "on Friday at 14:30", "in two hours".

It knows the few ways in which people say it in English and in German, and what time it is only if the instructions tell. What it does not
know stays in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_NOW = re.compile(r"it is \w+, (?P<date>\d{4}-\d{2}-\d{2}), (?P<time>\d{2}:\d{2}) ")
_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "a an one ein eine einem einer",
            "two zwei",
            "three drei",
            "four vier",
            "five fünf",
            "six sechs",
            "seven sieben",
            "eight acht",
            "nine neun",
            "ten zehn",
            "eleven elf",
            "twelve zwölf",
        ),
        start=1,
    )
    for word in words.split()
}
_WEEKDAYS = {
    word: number
    for number, words in enumerate(
        (
            "monday montag",
            "tuesday dienstag",
            "wednesday mittwoch",
            "thursday donnerstag",
            "friday freitag",
            "saturday samstag sonnabend",
            "sunday sonntag",
        )
    )
    for word in words.split()
}
_PARTS_OF_THE_DAY = {
    "morning": 9,
    "noon": 12,
    "afternoon": 15,
    "evening": 19,
    "tonight": 20,
    "midday": 12,
    "mittag": 12,
    "abend": 19,
}
_UNITS = {"minute": 1, "hour": 60, "stunde": 60, "day": 1440, "tag": 1440, "week": 10_080, "woche": 10_080}
_DEFAULT_HOUR = 9

_NUMBER = r"(?:\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_IN = re.compile(
    rf"\b(?:in)\s+(?P<count>{_NUMBER})\s+(?P<unit>minute|hour|stunde|day|tag|week|woche)(?:s|n|e|en)?\b", re.IGNORECASE
)
_DAY = re.compile(
    r"\b(?:(?P<after>(?:the )?day after tomorrow|übermorgen)|(?P<tomorrow>tomorrow|morgen)|(?P<today>today|heute|tonight)"
    rf"|(?:on |by |until |this |next |am |bis |nächsten? )*(?P<weekday>{'|'.join(_WEEKDAYS)})"
    r"|(?:on |by |until |am |bis )?(?P<date>\d{4}-\d{2}-\d{2}))\b(?!\.\w)",
    re.IGNORECASE,
)
_TIME = re.compile(
    rf"\b(?:at|um|@)\s+(?P<hour>{_NUMBER})(?:[:.](?P<minute>[0-5]\d))?(?:\s*(?P<half>am|pm|a\.m\.|p\.m\.)|\s*(?:o'clock|uhr))?(?!\w)"
    r"|\b(?P<bare>[01]?\d|2[0-3]):(?P<bare_minute>[0-5]\d)\b",
    re.IGNORECASE,
)
_PART = re.compile(rf"\b(?:in the |this |at |am )?(?P<part>{'|'.join(_PARTS_OF_THE_DAY)})\b", re.IGNORECASE)
_ENDS = re.compile(r"^(?:to|that|,|dass|zu)\s+|[\s,]+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is to happen, and what is said beside it."""

    time: datetime
    """The user's, without a zone."""
    rest: str
    """The text without the words that said when."""


def now_of(instructions: Sequence[str]) -> datetime | None:
    """The user's time, without a zone, as instructions tell it; None when they do not."""
    for text in instructions:
        if told := _NOW.search(text):
            return datetime.fromisoformat(f"{told['date']}T{told['time']}")
    return None


def moment_in(text: str, now: datetime) -> Moment | None:
    """When the text says that something is to happen; None when it says nothing of it. A time that is past today is tomorrow's."""
    if later := _IN.search(text):
        minutes = _number(later["count"]) * _UNITS[later["unit"].lower()]
        return Moment(now + timedelta(minutes=minutes), _without(text, later))
    day, clock, part = _DAY.search(text), _TIME.search(text), _PART.search(text)
    hour, minute = _clock(clock, part)
    if day is None and (clock is None or hour is None):
        return None
    if hour is None:
        # Said words of a clock that has no such hour.
        return None
    date = _date(day, now)
    if date is None:
        return None
    time = date.replace(hour=hour, minute=minute)
    if day is None and time <= now:
        time += timedelta(days=1)
    return Moment(time, _without(text, *(found for found in (day, clock, part) if found)))


def _clock(clock: re.Match[str] | None, part: re.Match[str] | None) -> tuple[int | None, int]:
    """Hour and minute; no hour when the words are of none."""
    of_the_part = _PARTS_OF_THE_DAY[part["part"].lower()] if part else None
    if clock is None:
        return (_DEFAULT_HOUR if of_the_part is None else of_the_part), 0
    hour = int(clock["bare"]) if clock["bare"] else _number(clock["hour"])
    minute = int(clock["bare_minute"] or clock["minute"] or 0)
    half = (clock["half"] or "").lower().replace(".", "")
    is_later_half = half == "pm" or (not half and of_the_part is not None and of_the_part >= 15)
    if half and hour > 12:
        return None, 0
    if is_later_half and hour < 12:
        hour += 12
    if half == "am" and hour == 12:
        hour = 0
    return (hour if hour < 24 else None), minute


def _date(day: re.Match[str] | None, now: datetime) -> datetime | None:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if day is None or day["today"]:
        return today
    if day["tomorrow"]:
        return today + timedelta(days=1)
    if day["after"]:
        return today + timedelta(days=2)
    if day["weekday"]:
        ahead = (_WEEKDAYS[day["weekday"].lower()] - today.weekday()) % 7
        return today + timedelta(days=ahead or 7)
    try:
        return datetime.fromisoformat(day["date"])
    except ValueError:
        return None


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else _NUMBERS[word.lower()]


def _without(text: str, *found: re.Match[str]) -> str:
    for each in sorted(found, key=lambda one: one.start(), reverse=True):
        text = f"{text[: each.start()].rstrip()} {text[each.end() :].lstrip()}"
    return _ENDS.sub("", _ENDS.sub("", text.strip()))
