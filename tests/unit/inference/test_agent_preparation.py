"""What a request becomes that names an agent."""

from __future__ import annotations

import pytest
from parley_inference.domain.agents import Agent
from parley_inference.domain.errors import AgentNotFoundError
from parley_inference.domain.prompt import (
    GenerationRequest,
    OfflineSkill,
    PromptMessage,
    Role,
    Sampling,
    Tool,
    ToolCall,
)
from parley_inference.operations.agents import NO_MORE_TOOLS, Agents

PLANNER = Agent("planner", "Planner", "Plans.", "You plan.", model="strong", tools=("add", "list"), max_steps=2)
BOUND = Agent(
    "bound", "Bound", "Is bound.", "Be short.", tools=("*",), max_steps=0, max_output_tokens=100, temperature=0.25
)
SUMMARIZER = Agent(
    "summarizer", "S", "S.", "You shorten.", tools=("*",), max_steps=1, offline_skill=OfflineSkill.SUMMARY
)
AGENTS = Agents([PLANNER, SUMMARIZER, BOUND])
TOOLS = tuple(Tool(name, "", {}) for name in ("add", "remove", "list"))
USER = PromptMessage(Role.USER, "Go on.")


def asked(agent_id: str, *messages: PromptMessage, **fields: object) -> GenerationRequest:
    return AGENTS.prepared(GenerationRequest(messages or (USER,), agent_id=agent_id, **fields))  # type: ignore[arg-type]  # fields of it


def round_of(*names: str) -> tuple[PromptMessage, ...]:
    """The assistant calls tools, all in one message, and their results."""
    calls = tuple(ToolCall(f"call_{name}", name, "{}") for name in names)
    results = (PromptMessage(Role.TOOL, "done", tool_call_id=call.tool_call_id) for call in calls)
    return (PromptMessage(Role.ASSISTANT, "", tool_calls=calls), *results)


def test_a_request_without_an_agent_stays_as_it_is() -> None:
    request = GenerationRequest((USER,), tools=TOOLS)
    assert AGENTS.prepared(request) is request


def test_the_instructions_come_before_those_of_the_request() -> None:
    system = PromptMessage(Role.SYSTEM, "The user's name is Ann.")
    assert asked("planner", system, USER).messages == (PromptMessage(Role.SYSTEM, "You plan."), system, USER)


def test_the_model_is_the_agents_unless_the_request_names_another() -> None:
    assert asked("planner").model == "strong"
    assert asked("planner", model="other").model == "other"
    assert asked("bound").model == ""


def test_only_tools_that_it_may_use_are_offered() -> None:
    assert [tool.name for tool in asked("planner", tools=TOOLS).tools] == ["add", "list"]
    assert asked("summarizer", tools=TOOLS).tools == TOOLS
    assert asked("bound", tools=TOOLS).tools == ()


def test_an_agent_without_steps_is_not_told_of_tools_that_it_never_had() -> None:
    assert [message.text for message in asked("bound", tools=TOOLS).messages] == ["Be short.", "Go on."]


def test_after_its_steps_it_is_offered_no_tools_and_told_to_answer() -> None:
    one = (USER, *round_of("add", "list", "add"))
    two = (*one, *round_of("list"))
    assert len(asked("planner", *one, tools=TOOLS).tools) == 2
    last = asked("planner", *two, tools=TOOLS)
    assert last.tools == ()
    assert [message.text for message in last.messages[:2]] == ["You plan.", NO_MORE_TOOLS]
    assert last.messages[2:] == two


def test_steps_of_earlier_questions_do_not_count() -> None:
    earlier = (USER, *round_of("add"), *round_of("add"), PromptMessage(Role.ASSISTANT, "Done."))
    assert len(asked("planner", *earlier, USER, *round_of("add"), tools=TOOLS).tools) == 2


@pytest.mark.parametrize(
    ("given", "limit"), [(None, 100), (50, 50), (100, 100), (1000, 100)], ids=["none", "less", "same", "more"]
)
def test_the_smaller_limit_of_output_holds(given: int | None, limit: int) -> None:
    assert asked("bound", sampling=Sampling(max_output_tokens=given)).sampling.max_output_tokens == limit
    assert asked("planner", sampling=Sampling(max_output_tokens=given)).sampling.max_output_tokens == given


def test_the_temperature_is_the_agents_when_the_request_has_none() -> None:
    assert asked("bound").sampling.temperature == 0.25
    assert asked("bound", sampling=Sampling(temperature=0.0)).sampling.temperature == 0.0
    assert asked("planner").sampling.temperature is None


def test_what_else_is_asked_stays() -> None:
    sampling = Sampling(top_p=0.5, stop_sequences=("END",), seed=7)
    prepared = asked("planner", sampling=sampling, answer_so_far="Once")
    assert prepared.sampling == sampling
    assert prepared.answer_so_far == "Once"


def test_the_built_in_model_is_told_the_skill() -> None:
    assert asked("summarizer").offline_skill is OfflineSkill.SUMMARY
    assert asked("planner").offline_skill is OfflineSkill.ANSWER


@pytest.mark.parametrize("wrong", ["planer", "Planner", "planner "])
def test_an_unknown_agent_is_told_with_those_that_may_be_meant(wrong: str) -> None:
    with pytest.raises(AgentNotFoundError) as raised:
        asked(wrong)
    assert raised.value.nearest[0] == "planner"


def test_where_none_is_near_all_are_named() -> None:
    with pytest.raises(AgentNotFoundError) as raised:
        AGENTS.get("xyz")
    assert raised.value.nearest == ("bound", "planner", "summarizer")
