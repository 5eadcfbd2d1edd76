"""Lead scoring as people use it: through the edge over REST, with the command, and never another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parley_testing.command import run
from parley_testing.leads import as_csv, leads
from parley_testing.mesh import Mesh, SignedUp

MODELS = "/api/v2/ai/scoring/models"


def call(mesh: Mesh, user: SignedUp, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, answer = mesh.request(verb, path, body, headers={"authorization": user.authorization})
    return status, json.loads(answer)


def test_over_rest_a_model_is_trained_scores_and_is_its_users_own(mesh: Mesh) -> None:
    user, other = mesh.sign_up(), mesh.sign_up()
    status, body = call(mesh, user, "POST", MODELS, {"name": "deals", "csv": as_csv(leads(60)), "label_column": "won"})
    assert status == 200, body
    model = body["model"]
    assert (model["name"], model["version"], model["row_count"]) == ("deals", 1, 60)
    assert model["method"] == "SCORING_METHOD_BASELINE"
    assert model["quality"]["auc"] > 0.5
    assert call(mesh, user, "GET", MODELS)[1] == {"models": [model]}
    assert call(mesh, user, "GET", f"{MODELS}/deals?version=1") == (200, {"model": model})

    rows = [{"employees": 900, "source": "referral", "days_silent": 1}, {"employees": 3, "source": "list"}]
    status, body = call(mesh, user, "POST", f"{MODELS}/deals:score", {"rows": rows})
    assert status == 200, body
    good, bad = body["scores"]
    assert (body["version"], good["score"] > bad["score"]) == (1, True)
    assert any(one["words"].endswith("speaks for it") for one in good["contributions"])

    missing = (404, "There is no such scoring model.")
    for verb, path, given in (
        ("GET", f"{MODELS}/deals", None),
        ("DELETE", f"{MODELS}/deals", None),
        ("POST", f"{MODELS}/deals:score", {"rows": rows}),
    ):
        status, body = call(mesh, other, verb, path, given)
        assert (status, body["message"]) == missing
    assert call(mesh, other, "GET", MODELS)[1] == {"models": []}

    status, body = call(mesh, user, "POST", MODELS, {"name": "deals", "csv": "a,won\n1,yes\n", "label_column": "won"})
    assert status == 400
    assert "ERROR_REASON_TRAINING_DATA_UNUSABLE" in json.dumps(body)
    assert call(mesh, user, "DELETE", f"{MODELS}/deals") == (200, {})
    assert call(mesh, user, "GET", f"{MODELS}/deals")[0] == 404


async def test_the_command_trains_shows_scores_and_deletes(mesh: Mesh, tmp_path: Path) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    ended, fresh = tmp_path / "ended.csv", tmp_path / "fresh.csv"
    ended.write_text("\ufeff" + as_csv(leads(60)), newline="")
    fresh.write_text("employees,source,days_silent\n3,list,29\n900,referral,1\n", newline="")

    trained = await run(home, "leads", "train", "deals", str(ended), "--label", "won", "--kind", "noise=ignored")
    assert trained.code == 0, trained.err
    assert "deals, version 1" in trained.out
    assert "AUC 0." in trained.out
    assert "few rows" in trained.out
    assert "noise" not in trained.out
    assert json.loads((await run(home, "leads", "list", "--json")).out)[0]["name"] == "deals"
    assert "baseline" in (await run(home, "leads", "show", "deals")).out

    scored = await run(home, "leads", "score", "deals", str(fresh))
    assert [line.split()[0] for line in scored.out.splitlines() if line[:1].isdigit()] == ["2", "1"]
    assert "speaks for it" in scored.out
    both = json.loads((await run(home, "leads", "score", "deals", str(fresh), "--json")).out)
    assert both[1]["score"] > both[0]["score"]

    refused = await run(home, "leads", "train", "deals", str(fresh), "--label", "won")
    assert refused.code == 1
    assert "there is no column `won`" in refused.err
    assert (await run(home, "leads", "delete", "deals")).code == 0
    assert (await run(home, "leads", "show", "deals")).code == 1
