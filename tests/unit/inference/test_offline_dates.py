"""When something is to happen, as plain requests say it."""

from __future__ import annotations

from datetime import datetime

import pytest
from parley_inference.adapters.offline_dates import moment_in, now_of

NOW = datetime(2026, 11, 21, 17, 9)  # noqa: DTZ001 - the user's own time; a Saturday


@pytest.mark.parametrize(
    ("said", "time", "rest"),
    [
        ("call the dentist tomorrow at nine", "2026-11-22 09:00", "call the dentist"),
        ("tomorrow at nine to call the dentist", "2026-11-22 09:00", "call the dentist"),
        ("pay the rent on Friday", "2026-11-27 09:00", "pay the rent"),
        ("send the report by Friday at 4 pm", "2026-11-27 16:00", "send the report"),
        ("meet Bob next Monday at 14:30", "2026-11-23 14:30", "meet Bob"),
        ("water the plants in two hours", "2026-11-21 19:09", "water the plants"),
        ("call Bob at 5pm", "2026-11-22 17:00", "call Bob"),
        ("call Bob at 6pm", "2026-11-21 18:00", "call Bob"),
        ("take out the trash tonight", "2026-11-21 20:00", "take out the trash"),
        ("tomorrow evening at 7 call mum", "2026-11-22 19:00", "call mum"),
        ("party on 2026-12-24 at 18:00", "2026-12-24 18:00", "party"),
        ("den Zahnarzt anrufen morgen um neun", "2026-11-22 09:00", "den Zahnarzt anrufen"),
        ("am Montag um 8 Uhr anrufen", "2026-11-23 08:00", "anrufen"),
        ("lunch the day after tomorrow at 12:15", "2026-11-23 12:15", "lunch"),
    ],
)
def test_the_words_that_say_when_become_a_time_and_leave_the_text(said: str, time: str, rest: str) -> None:
    moment = moment_in(said, NOW)
    assert moment is not None
    assert (f"{moment.time:%Y-%m-%d %H:%M}", moment.rest) == (time, rest)


@pytest.mark.parametrize(
    "said",
    ["buy 3 apples", "read the chapter at home", "talk to the people of monday.com", "at 25 go", "on 2026-02-31 sleep"],
)
def test_what_says_no_time_has_none(said: str) -> None:
    assert moment_in(said, NOW) is None


def test_the_time_is_known_only_if_the_instructions_tell_it() -> None:
    told = "Be brief.\n\nFor the user it is Saturday, 2026-11-21, 17:09 (Europe/Berlin, UTC+0100)."
    assert now_of(["Be kind.", told]) == NOW
    assert now_of(["Be kind."]) is None
