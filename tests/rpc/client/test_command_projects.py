"""`parley project` and `parley ask --project`, as processes, against the real chat."""

from __future__ import annotations

import json

from parley_testing.command import run


async def test_a_project_is_made_shown_changed_put_away_and_deleted(here: dict[str, str]) -> None:
    made = await run(here, "project", "create", "New house", "--instructions", "Prices are in euros.")
    assert made.code == 0, made.err
    project_id = made.out.strip()
    task = (await run(here, "task", "add", "Paint", "--project", project_id)).out.strip()
    listed = (await run(here, "project", "list")).out
    assert "New house" in listed
    shown = (await run(here, "project", "show", project_id)).out
    assert "0 sessions, 1 open task" in shown
    assert "Prices are in euros." in shown
    changed = await run(here, "project", "update", project_id, "--description", "By the lake", "--archive", "--json")
    project = json.loads(changed.out)
    assert (project["title"], project["description"], project["archived"]) == ("New house", "By the lake", True)
    assert "New house" not in (await run(here, "project", "list")).out
    assert "New house" in (await run(here, "project", "list", "--all")).out
    assert (await run(here, "project", "delete", project_id)).out.startswith("Deleted.")
    left = json.loads((await run(here, "task", "list", "--json")).out)
    assert [(each["task_id"], each["project"]) for each in left] == [(task, "")]
    assert "project deleted" in (await run(here, "events")).out


async def test_what_cannot_be_is_refused_in_words(here: dict[str, str]) -> None:
    nobodys = "prj_" + 32 * "0"
    nothing = await run(here, "project", "update", nobodys)
    assert (nothing.code, "--help" in nothing.err) == (2, True)
    missing = await run(here, "ask", "Hello", "--project", nobodys)
    assert missing.code != 0
    assert "project" in missing.err
