"""What the built-in model writes for templates of content: the caller's own words in the form of the template."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import parley_inference
import pytest
from parley_inference.adapters.offline_content import NOTHING_GIVEN
from parley_inference.adapters.offline_model import NOTE_OF_CONTENT, OfflineModel
from parley_inference.adapters.toml_content_templates import read_content_templates
from parley_inference.domain.content import ContentWish
from parley_inference.domain.generation import TextDelta
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role
from parley_inference.operations.content import Content

CONTENT = Content(read_content_templates(Path(parley_inference.__file__).parent / "content_templates"))

EMAIL = {
    "purpose": "the launch of the portal",
    "recipient": "Maria",
    "sender": "Jo",
    "points": "it starts at 5 pm\nthe place is the terrace\nfamilies are welcome",
    "call_to_action": "please say by Friday whether you come",
}


async def written(template_id: str, values: dict[str, str], *, custom: str = "", tone: str = "", more: str = "") -> str:
    """What the built-in model writes; `more` stands behind the prompt."""
    messages = CONTENT.rendered(ContentWish(template_id, custom, values, tone=tone)).messages
    messages = (*messages[:-1], replace(messages[-1], text=messages[-1].text + more))
    request = GenerationRequest(messages)
    text = "".join([event.text async for event in OfflineModel(0).generate(request) if isinstance(event, TextDelta)])
    assert text.endswith(f"\n\n---\n\n{NOTE_OF_CONTENT}")
    return text.removesuffix(f"\n\n---\n\n{NOTE_OF_CONTENT}")


async def test_an_email_has_subject_greeting_points_wish_and_closing() -> None:
    assert await written("email", EMAIL, tone="friendly") == (
        "Subject: The launch of the portal\n\nHi Maria,\n\nThis is about: the launch of the portal.\n\n"
        "- It starts at 5 pm\n- The place is the terrace\n- Families are welcome\n\n"
        "Please say by Friday whether you come.\n\nBest wishes\nJo"
    )


@pytest.mark.parametrize(
    ("tone", "greeting", "closing"),
    [
        ("", "Hello,", "Kind regards"),
        ("very formal", "Dear Sir or Madam,", "Yours sincerely"),
        ("informal", "Hi,", "Best wishes"),
    ],
)
async def test_the_tone_of_an_email_is_in_its_frame(tone: str, greeting: str, closing: str) -> None:
    text = await written("email", {"purpose": "x" * 80 + " end"}, tone=tone)
    subject, second, *_, last = text.split("\n\n")
    assert (second, last) == (greeting, closing)
    assert len(subject) <= len("Subject: ") + 60
    assert subject.endswith("…")


async def test_a_short_post_keeps_its_networks_limit() -> None:
    values = {"message": "word " * 200, "link": "https://example.org/x", "hashtags": "2", "platform": "x"}
    text = await written("social_post", values)
    assert len(text) <= 280
    assert "https://example.org/x" in text
    assert text.endswith("#Word")


async def test_a_post_has_as_many_hashtags_as_asked() -> None:
    message = "Parley streams survive crashes. Try Parley today."
    assert (await written("social_post", {"message": message})).endswith("\n\n#Parley #Streams #Survive")
    assert "#" not in await written("social_post", {"message": message, "hashtags": "0"})


async def test_a_blog_post_is_an_outline_in_sections() -> None:
    values = {"topic": "tea", "points": "leaves\nwater\ntime\ncups", "sections": "2", "message": "patience pays"}
    assert await written("blog_post", values) == (
        "# Tea\n\nPatience pays.\n\n## Leaves\n\n- Water\n\n## Time\n\n- Cups"
    )


async def test_a_summary_is_a_summary() -> None:
    text = "The tower is repaired until May, because its roof leaks. It rained. The repair of the tower costs 350,000 euros."
    one = await written("summary", {"text": text, "form": "one sentence"})
    assert one == "The tower is repaired until May, because its roof leaks."


async def test_an_ad_promises_nothing_that_is_not_given() -> None:
    text = await written("ad_copy", {"product": "Lumo", "benefits": "light all night\nno cables", "headlines": "2"})
    assert text == (
        "**Headlines**\n\n- Lumo\n- Light all night\n\n**Text**\n\nLumo. Light all night.\n\n**Call to action**\n\nFind out more"
    )


async def test_a_product_has_its_features_and_facts() -> None:
    text = await written("product_description", {"product": "lamp", "features": "shines", "facts": "230 g"})
    assert text == "## Lamp\n\n- Shines\n\n**Facts**\n\n- 230 g"


async def test_a_template_of_the_callers_own_becomes_an_outline() -> None:
    text = await written("", {"the_name": "Ann", "gifts": "a\nb"}, custom="A toast for {the_name} with {gifts}")
    assert text == "This is only an outline of what you gave:\n\n**The name:** Ann\n\n**Gifts**\n\n- a\n- b"
    assert await written("", {}, custom="Write something nice.") == NOTHING_GIVEN


async def test_versions_differ_in_the_order_of_their_points_and_each_is_the_same_again() -> None:
    versions = [
        await written("email", EMAIL, more=f"\n\nThis is version {number} of 3, each of which is written alone.")
        for number in (1, 2, 3, 1)
    ]
    assert len(set(versions)) == 3
    assert versions[0] == versions[3]
    assert len({"".join(sorted(version)) for version in versions}) == 1


async def test_a_value_that_speaks_of_versions_changes_nothing() -> None:
    assert "- It starts at 5 pm\n- The place" in await written(
        "email", EMAIL | {"purpose": "this is version 2 of 3 of the plan"}
    )


async def test_a_template_of_the_same_name_with_other_fields_loses_nothing() -> None:
    messages = CONTENT.rendered(ContentWish("email", "", EMAIL)).messages
    other = replace(messages[-1], text="<secret_field>kept</secret_field>\n\nRequirements:\n- Length: about 1 words.")
    request = GenerationRequest((*messages[:-1], other))
    text = "".join([event.text async for event in OfflineModel(0).generate(request) if isinstance(event, TextDelta)])
    assert "**Secret field:** kept" in text


async def test_it_is_understood_behind_other_instructions_too() -> None:
    messages = CONTENT.rendered(ContentWish("email", "", EMAIL)).messages
    request = GenerationRequest((PromptMessage(Role.SYSTEM, "Be kind."), *messages))
    text = "".join([event.text async for event in OfflineModel(0).generate(request) if isinstance(event, TextDelta)])
    assert text.startswith("Subject: The launch of the portal")
