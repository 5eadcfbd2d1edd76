"""Agents from a folder of files: the shipped ones, the operator's, and what is wrong told with file and key."""

from __future__ import annotations

import re
from pathlib import Path

import parley_inference
import pytest
from parley_inference.adapters.toml_agents import read_agents
from parley_inference.adapters.toml_folder import MOST_BYTES, MOST_FILES, FolderError
from parley_inference.domain.agents import Agent
from parley_inference.domain.prompt import OfflineSkill
from parley_testing.tools import ROOT

SHIPPED = Path(parley_inference.__file__).parent / "agents"
LEAST = 'title = "T"\ndescription = "D"\ninstructions = "I"\n'


def agents_of(folder: Path, **files: str) -> dict[str, Agent]:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return {agent.agent_id: agent for agent in read_agents(folder)}


def problem_of(folder: Path, **files: str) -> str:
    with pytest.raises(FolderError) as raised:
        agents_of(folder, **files)
    assert str(folder) not in str(raised.value)
    return str(raised.value)


def test_four_agents_ship_each_with_a_skill_of_the_built_in_model() -> None:
    assert {agent.agent_id: (agent.offline_skill, agent.searches) for agent in read_agents(SHIPPED)} == {
        "data_analyst": (OfflineSkill.TABLE, False),
        "researcher": (OfflineSkill.ANSWER, True),
        "summarizer": (OfflineSkill.SUMMARY, False),
        "task_planner": (OfflineSkill.PLAN, False),
    }


@pytest.mark.parametrize("agent", read_agents(SHIPPED), ids=lambda agent: agent.agent_id)
def test_shipped_instructions_are_whole_and_bounded(agent: Agent) -> None:
    assert 1000 < len(agent.instructions) < 6000
    # A line that was broken in the file would reach the model with its backslash.
    assert "\\" not in agent.instructions
    assert "  " not in agent.instructions
    assert agent.instructions.endswith((".", '"'))
    assert "language of the" in agent.instructions
    # Models of every provider take them: many refuse a temperature.
    assert agent.temperature is None
    assert agent.max_output_tokens >= 8000


def test_the_example_of_the_guide_is_an_agent(tmp_path: Path) -> None:
    guide = (ROOT / "docs/guide/agents.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert agents_of(tmp_path, translator=example)["translator"].title == "Translator"


def test_an_agent_is_named_after_its_file_and_needs_three_keys(tmp_path: Path) -> None:
    assert agents_of(tmp_path, **{"my-agent_2": LEAST}) == {"my-agent_2": Agent("my-agent_2", "T", "D", "I")}


def test_every_key_is_read(tmp_path: Path) -> None:
    text = LEAST + (
        'model = "openai/x"\ntools = ["b", "a"]\nsearches = true\nmax_steps = 0\nmax_output_tokens = 500\n'
        'temperature = 1\noffline = "plan"\n'
    )
    assert agents_of(tmp_path, a=text)["a"] == Agent(
        "a", "T", "D", "I", "openai/x", ("a", "b"), True, 0, 500, 1.0, OfflineSkill.PLAN
    )


def test_all_tools_are_a_star(tmp_path: Path) -> None:
    assert agents_of(tmp_path, a=LEAST + 'tools = ["*"]')["a"].tools == ("*",)


def test_lines_of_instructions_stay(tmp_path: Path) -> None:
    text = LEAST.replace('"I"', '"""\n  First.\r\n\n- Second.\n"""')
    assert agents_of(tmp_path, a=text)["a"].instructions == "First.\n\n- Second."


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / ".hidden.toml").write_text("not TOML")
    (tmp_path / "a.toml.bak").write_text("not TOML")
    assert set(agents_of(tmp_path, a=LEAST)) == {"a"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("titel = 'x'", "a.toml: titel is not known; there are description, instructions, max_output_tokens"),
        ("max_steps = 51", "a.toml: max_steps must be a whole number from 0 to 50"),
        ("max_steps = -1", "a.toml: max_steps must be"),
        ("max_steps = true", "a.toml: max_steps must be"),
        ("max_steps = 1.5", "a.toml: max_steps must be"),
        ("max_output_tokens = 1000001", "a.toml: max_output_tokens must be a whole number from 0 to 1000000"),
        ("temperature = 2.1", "a.toml: temperature must be a number from 0 to 2"),
        ("temperature = nan", "a.toml: temperature must be"),
        ("temperature = 'hot'", "a.toml: temperature must be"),
        ("searches = 'yes'", "a.toml: searches must be true or false"),
        ("offline = 'magic'", "a.toml: offline must be one of answer, summary, plan, table"),
        ("offline = ['plan']", "a.toml: offline must be one of"),
        ("tools = 'add'", "a.toml: tools must be a list"),
        ("tools = ['a', 'a']", "a.toml: tools must be a list of at most 128 different texts"),
        ("tools = ['*', 'a']", 'a.toml: tools must be names of 1 to 64 of A-Z a-z 0-9 _ -, or ["*"] for all'),
        ("tools = ['a b']", "a.toml: tools must be names"),
        ("tools = [1]", "a.toml: tools must be a list"),
        ("model = 7", "a.toml: model must be a text of at most 200 characters"),
        (f"model = '{'m' * 201}'", "a.toml: model must be a text of 0 to 200 characters"),
        ("[more]", "a.toml: more is not known"),
        ("x = ", "a.toml: is not TOML: "),
        ("title = 'again'", "a.toml: is not TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path: Path, line: str, problem: str) -> None:
    assert problem_of(tmp_path, a=LEAST + line).startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a.toml: title is missing"),
        (LEAST.replace('"D"', '"  "'), "a.toml: description must be a text of 1 to 1000 characters"),
        (LEAST.replace('"T"', f'"{"t" * 101}"'), "a.toml: title must be a text of 1 to 100 characters"),
        (LEAST.replace('"T"', '"a\\nb"'), "a.toml: title must be one line"),
        (LEAST.replace('"I"', '"a\\u0000b"'), "a.toml: instructions must not hold control characters"),
        (LEAST.replace('"I"', f'"{"i" * 20_001}"'), "a.toml: instructions must be a text of 1 to 20000 characters"),
        (f"# {'x' * MOST_BYTES}\n{LEAST}", f"a.toml: is larger than {MOST_BYTES} bytes"),
    ],
    ids=["empty", "blank", "long", "two lines", "control", "too long", "too large"],
)
def test_texts_are_bounded(tmp_path: Path, text: str, problem: str) -> None:
    assert problem_of(tmp_path, a=text) == problem


@pytest.mark.parametrize("name", ["Bad", "a b", "ä", "a" * 65])
def test_the_name_of_a_file_is_an_id(tmp_path: Path, name: str) -> None:
    problem = problem_of(tmp_path, **{name: LEAST})
    assert problem.startswith(f"{name}.toml: its name must be 1 to 64 of a-z 0-9 _ -")


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(LEAST.encode() + b'model = "\xff"\n')
    assert problem_of(tmp_path) == "a.toml: is not UTF-8 (line 4)"


def test_a_folder_that_is_called_like_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.toml").mkdir()
    assert problem_of(tmp_path) == "a.toml: is not a file"


def test_a_folder_that_is_not_there_is_told_without_its_path(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "none") == "the folder cannot be read: No such file or directory"


def test_a_folder_has_an_end(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"a{number}.toml").touch()
    assert problem_of(tmp_path) == f"the folder holds more than {MOST_FILES} files of TOML"
