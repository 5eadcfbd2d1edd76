"""What the built-in model does for agents: a summary in the text's own sentences, a plan in its own steps, a table in figures."""

from __future__ import annotations

import re

import pytest
from parley_inference.adapters.offline_model import OfflineModel
from parley_inference.adapters.offline_plan import Plan, plan_of
from parley_inference.adapters.offline_skills import NO_TABLE, NO_TEXT
from parley_inference.adapters.offline_summary import summary_of
from parley_inference.adapters.offline_table import description_of, table_of
from parley_inference.domain.generation import TextDelta
from parley_inference.domain.prompt import GenerationRequest, OfflineSkill, PromptMessage, Role

NEWS = """The council of Brandford voted on Tuesday to build a tram line from the station to the university. The line will have 14 stops. \
The council expects the tram line to cost 310 million euros, of which the state pays two thirds.

Supporters say that the buses to the university are full. The university has grown from 12,000 to 21,000 students, and the bus line to it \
carries twice as many people as it was planned for.

Opponents doubt the costs. The shops of Market Street fear that building the line will cost them customers. The council promised 5 million \
euros for shops that lose business. The weather was fine. Somebody brought cake."""

MAIL = """Hi all,

thanks for the call yesterday. We move the launch of the portal to 17 March, because the payment provider has not confirmed the contract. \
Legal expects the contract by 24 February. Without the contract the launch of the portal would move again. \
The launch of the portal is announced by Tom. It rained all day.

Best,
Jo"""

SALES = """Which region has the most revenue?

month,region,orders,revenue
2024-01,north,12,1200.50
2024-01,south,7,"1,050.25"
2024-02,north,15,1610
2024-02,south,,990
"""


async def said(skill: OfflineSkill, *texts: str) -> str:
    """What the built-in model answers to the last of these, whole."""
    messages = [
        message for text in texts for message in (PromptMessage(Role.USER, text), PromptMessage(Role.ASSISTANT, "…"))
    ]
    request = GenerationRequest(tuple(messages[:-1]), offline_skill=skill)
    return "".join([event.text async for event in OfflineModel(0).generate(request) if isinstance(event, TextDelta)])


def sentences_in(text: str) -> list[str]:
    """The sentences of a text that has no abbreviations."""
    return re.split(r"(?<=[.?]) |\n\n", text)


@pytest.mark.parametrize("text", [NEWS, MAIL], ids=["news", "mail"])
def test_a_summary_is_the_texts_own_sentences_in_their_order(text: str) -> None:
    summary = summary_of(text)
    assert summary is not None
    own = sentences_in(text)
    places = [own.index(sentence) for sentence in summary.sentences]
    assert places == sorted(set(places))
    assert 1 < len(places) < len(own) / 2


def test_a_summary_says_what_the_text_is_about_and_leaves_out_what_is_not() -> None:
    summary = summary_of(NEWS)
    assert summary is not None
    assert summary.sentences[0].startswith("The council of Brandford voted")
    assert any("310 million" in sentence for sentence in summary.sentences)
    assert not any("weather" in sentence or "cake" in sentence for sentence in summary.sentences)


def test_greetings_and_thanks_are_no_part_of_it() -> None:
    summary = summary_of(MAIL)
    assert summary is not None
    assert not any(word in " ".join(summary.sentences) for word in ("Hi all", "thanks", "Jo", "rained"))
    assert any("17 March" in sentence for sentence in summary.sentences)


def test_a_summary_has_the_length_and_the_number_of_sentences_that_are_asked_for() -> None:
    one = summary_of(NEWS, most_sentences=1)
    assert one is not None
    assert len(one.sentences) == 1
    short, long = summary_of(NEWS, 20), summary_of(NEWS, 80)
    assert short is not None
    assert long is not None
    assert len(" ".join(short.sentences).split()) < len(" ".join(long.sentences).split()) < 110


def test_the_same_sentence_is_not_said_twice() -> None:
    summary = summary_of("Trams are quiet and fast. " * 30 + "Buses are cheap to buy.")
    assert summary is not None
    assert summary.sentences == ["Trams are quiet and fast.", "Buses are cheap to buy."]


@pytest.mark.parametrize("empty", ["", "   ", "# Only a heading", "```\ncode only\n```", "***"])
def test_a_text_without_sentences_has_no_summary(empty: str) -> None:
    assert summary_of(empty) is None


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        (
            "Launch the site by Friday: write the copy, test the forms, and tell the customers",
            Plan("Launch the site by Friday", ("Write the copy", "Test the forms", "Tell the customers")),
        ),
        (
            "We need to find a venue. Then we have to invite 40 people. Please order food, and finally clean up.",
            Plan("", ("Find a venue", "Invite 40 people", "Order food", "Clean up")),
        ),
        (
            "Goals for May\n- hire two engineers\n- [ ] migrate the database\n3) close the office in Bonn.",
            Plan("Goals for May", ("Hire two engineers", "Migrate the database", "Close the office in Bonn")),
        ),
        ("write the copy\n\ntest it", Plan("", ("Write the copy", "Test it"))),
        ("Make a plan for our move to Berlin", Plan("Our move to Berlin", ())),
        ("Buy bread and butter", Plan("Buy bread and butter", ())),
        ("", Plan("", ())),
    ],
    ids=["goal and enumeration", "sentences", "list", "lines", "only a goal", "no enumeration", "nothing"],
)
def test_a_plan_is_what_the_message_names_in_its_order(text: str, plan: Plan) -> None:
    assert plan_of(text) == plan


def described(text: str) -> str:
    table = table_of(text)
    assert table is not None
    return description_of(table)


def test_a_table_is_counted_and_computed() -> None:
    text = described(SALES)
    assert "4 rows and 4 columns: month, region, orders, revenue" in text
    assert "| orders | 3 | 11.3333 | 12 | 7 | 15 | 34 |" in text
    assert "| revenue | 4 | 1,212.6875 | 1,125.375 | 990 | 1,610 | 4,850.75 |" in text
    assert "| region | 4 | 2 | north (2), south (2) |" in text
    assert "| month | 4 | 2 | 2024-01 to 2024-02 |" in text
    assert "revenue: the most is 1,610 (row 3: 2024-02, north), the least 990 (row 4: 2024-02, south)." in text
    assert "orders is empty in 1 row" in text


def test_groups_are_those_that_the_message_asks_for() -> None:
    assert "By region:" in described(SALES)
    assert "| north | 2 | 1,405.25 | 2,810.5 |" in described(SALES)
    assert "By month:" in described(SALES.replace("Which region has", "In which month was"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Artikel;Preis\nLampe;12,50\nTisch;1.299,00", "| Preis | 2 | 655.75 | 655.75 | 12.5 | 1,299 | 1,311.5 |"),
        ("Artikel;kg\nLampe;1,234\nTisch;2", "| kg | 2 | 1.617 | 1.617 | 1.234 | 2 | 3.234 |"),
        ('x,y\na,"1,234"\nb,"2"', "| y | 2 | 618 | 618 | 2 | 1,234 | 1,236 |"),
        ("a\tb\n1\t2\n3\t4", "| b | 2 | 3 | 3 | 2 | 4 | 6 |"),
        ("| name | age |\n|---|---:|\n| Ann | 31 |\n| Bob | 42 |", "| age | 2 | 36.5 | 36.5 | 31 | 42 | 73 |"),
        ("```csv\nx,y\n-1,$3\n2,$4\n```", "| y | 2 | 3.5 | 3.5 | 3 | 4 | 7 |"),
        ("Here is my list, thanks:\nx,y,z\n1,2,3\n4,5,6", "| z | 2 | 4.5 | 4.5 | 3 | 6 | 9 |"),
        ("x,share\na,10 %\nb,30 %", "| share | 2 | 20 | 20 | 10 | 30 | 40 |"),
        ("x,y\na,0.1\nb,0.2", "| y | 2 | 0.15 | 0.15 | 0.1 | 0.2 | 0.3 |"),
    ],
    ids=[
        "semicolons",
        "decimal comma",
        "thousands",
        "tabs",
        "markdown",
        "code",
        "below a sentence",
        "percent",
        "exact",
    ],
)
def test_tables_are_read_as_people_write_them(text: str, line: str) -> None:
    assert line in described(text)


def test_what_is_no_amount_is_not_added_up() -> None:
    text = described("id,year,name\n1,2023,a\n2,2024,b\n3,2024,b")
    assert "mean" not in text
    assert "| year | 3 | 2 | 2024 (2), 2023 (1) |" in text


def test_lines_that_do_not_fit_are_left_out_and_told() -> None:
    text = described("x,y\n1,2\n3,4\n5,6,7\n8,9")
    assert "3 rows" in text
    assert "1 line with another number of cells left out" in text


def test_cells_cannot_break_the_answers_own_tables() -> None:
    text = described("name,n\na|b,1\n" + "c" * 100 + ",2")
    assert "a\\|b" in text
    assert "c" * 41 not in text


@pytest.mark.parametrize(
    "prose",
    ["", "Hello, I have data.", "First, do this, please.\nThen, do that, too.", "a;b", "one line\nanother line"],
)
def test_prose_is_no_table(prose: str) -> None:
    assert table_of(prose) is None


async def test_the_first_answer_says_that_no_model_is_configured_and_what_this_one_does() -> None:
    for skill, words, text in (
        (OfflineSkill.SUMMARY, "which only picks sentences", NEWS),
        (OfflineSkill.PLAN, "which only numbers what you wrote", "write\ntest"),
        (OfflineSkill.TABLE, "which only counts and computes", SALES),
    ):
        first = await said(skill, text)
        assert "No model is configured" in first
        assert words in first
        assert "No model is configured" not in await said(skill, "Before", text)


async def test_a_wish_in_front_of_the_text_is_no_part_of_it() -> None:
    answer = await said(OfflineSkill.SUMMARY, f"Please summarize this for my boss:\n{NEWS}")
    assert "boss" not in answer
    assert re.match(r"What the text says, in \d of its 9 sentences:\n\nThe council of Brandford", answer)


async def test_a_question_about_an_earlier_table_goes_on_from_it() -> None:
    assert "By month:" in await said(OfflineSkill.TABLE, SALES, "and by month?")


async def test_what_is_missing_is_asked_for() -> None:
    assert NO_TEXT in await said(OfflineSkill.SUMMARY, "```\ncode\n```")
    assert NO_TABLE in await said(OfflineSkill.TABLE, "How did May go?")
    assert "names no steps for “Our move”" in await said(OfflineSkill.PLAN, "Plan for our move")
