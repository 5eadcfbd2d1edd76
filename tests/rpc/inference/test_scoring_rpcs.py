"""ScoringService over gRPC: from rows to scores, whose models they are, and what every wrong request gets."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from parley.identity.v1 import identity_service_pb2
from parley.inference.v1 import scoring_service_pb2 as pb
from parley.inference.v1 import scoring_service_pb2_grpc
from parley_inference.bootstrap import open_inference
from parley_inference.settings import InferenceSettings
from parley_shared.channels import bearer, open_channel
from parley_shared.settings import Environment
from parley_shared.status import StatusError, status_error_from
from parley_testing.addresses import NOBODY
from parley_testing.leads import as_csv, leads
from parley_testing.object_store import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ObjectStore, object_store
from parley_testing.tokens import TestKeys

__all__ = ["object_store"]  # a fixture that pytest finds by its name

USER, OTHER = f"usr_{'1' * 32}", f"usr_{'2' * 32}"
CSV = as_csv(leads(60))


@dataclass(frozen=True)
class Running:
    """A service and its callers."""

    home: Path
    keys: TestKeys
    stub: Any

    def metadata(self, user: str = USER, *scopes: str, **claims: Any) -> Any:
        return bearer(self.keys.mint(user, scopes or ("scoring:read", "scoring:write"), **claims))

    async def call(self, method: str, request: Any, metadata: Any = None) -> Any:
        return await getattr(self.stub, method)(request, metadata=metadata or self.metadata(), timeout=100)

    async def error(self, method: str, request: Any, metadata: Any = None) -> StatusError:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.call(method, request, metadata)
        return status_error_from(raised.value)


@asynccontextmanager
async def running(home: Path, **variables: str) -> AsyncIterator[Running]:
    keys = TestKeys(home)
    environment = {
        "PARLEY_HOME": str(home),
        "PARLEY_INFERENCE_PORT": "0",
        "PARLEY_DRAIN_SECONDS": "0",
        "PARLEY_CHAT_ADDRESS": NOBODY,
    }
    async with open_inference(InferenceSettings.read(Environment(environment | variables))) as app:
        await app.server.start()
        async with open_channel(f"127.0.0.1:{app.server.port}") as channel:
            yield Running(home, keys, scoring_service_pb2_grpc.ScoringServiceStub(channel))
        await app.server.drain()


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One service with the model `deals` of USER."""
    async with running(tmp_path_factory.mktemp("scoring")) as started:
        await started.call("TrainScoringModel", train(name="deals"))
        yield started


def train(**fields: Any) -> pb.TrainScoringModelRequest:
    return pb.TrainScoringModelRequest(**({"name": "other", "csv": CSV, "label_column": "won"} | fields))


def row(**values: Any) -> Struct:
    made = Struct()
    made.update(values)
    return made


async def test_from_rows_to_scores(service: Running) -> None:
    rows = [row(**lead) for lead in leads(60)]
    trained = (await service.call("TrainScoringModel", train(name="whole", csv="", rows=rows))).model
    assert (trained.name, trained.version, trained.row_count) == ("whole", 1, 60)
    assert (trained.label_column, trained.positive_label) == ("won", "yes")
    assert trained.method == pb.SCORING_METHOD_BASELINE
    assert {column.name: column.kind for column in trained.columns} == {
        "days_silent": pb.COLUMN_KIND_NUMERIC,
        "employees": pb.COLUMN_KIND_NUMERIC,
        "noise": pb.COLUMN_KIND_NUMERIC,
        "source": pb.COLUMN_KIND_CATEGORICAL,
    }
    assert 0.5 < trained.quality.auc <= 1
    assert sum(one.row_count for one in trained.quality.calibration) == 60
    assert abs(trained.create_time.seconds - time.time()) < 600
    again = (await service.call("TrainScoringModel", train(name="whole"))).model
    assert again.version == 2

    listed = (await service.call("ListScoringModels", pb.ListScoringModelsRequest())).models
    assert [(one.name, one.version) for one in listed] == [("deals", 1), ("whole", 2)]
    assert (await service.call("GetScoringModel", pb.GetScoringModelRequest(name="whole", version=1))).model == trained

    good, bad = row(employees=900, source="Referral", days_silent=1), row(employees="4", source="list", days_silent=29)
    request = pb.ScoreLeadsRequest(name="whole", version=1, rows=[good, bad, row(unknown=True)], contribution_limit=2)
    scored = await service.call("ScoreLeads", request)
    assert scored.version == 1
    assert scored.scores[0].score > scored.scores[2].score > scored.scores[1].score
    assert [len(one.contributions) for one in scored.scores] == [2, 2, 2]
    first = {one.column: one for one in scored.scores[0].contributions}
    assert first["employees"].contribution > 0
    assert first["employees"].words == "employees = 900 speaks for it"

    await service.call("DeleteScoringModel", pb.DeleteScoringModelRequest(name="whole"))
    gone = await service.error("GetScoringModel", pb.GetScoringModelRequest(name="whole"))
    assert gone.code is grpc.StatusCode.NOT_FOUND


async def test_what_is_anothers_is_not_found_in_the_same_words_as_what_is_not_there(service: Running) -> None:
    other = service.metadata(OTHER)
    assert (await service.call("ListScoringModels", pb.ListScoringModelsRequest(), other)).models == []
    for method, request in (
        ("GetScoringModel", pb.GetScoringModelRequest(name="deals")),
        ("DeleteScoringModel", pb.DeleteScoringModelRequest(name="deals")),
        ("ScoreLeads", pb.ScoreLeadsRequest(name="deals", rows=[row(employees=1)])),
    ):
        errors = [await service.error(method, request, other)]
        request.name = "nowhere"
        errors.append(await service.error(method, request))
        assert [(one.code, one.reason, one.message) for one in errors] == [
            (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_RESOURCE_NOT_FOUND", "There is no such scoring model.")
        ] * 2
    found = await service.call("GetScoringModel", pb.GetScoringModelRequest(name="deals"))
    assert found.model.version == 1


async def test_the_scopes_of_the_contract_are_asked_for(service: Running) -> None:
    reader = service.metadata(USER, "scoring:read")
    assert (await service.call("ListScoringModels", pb.ListScoringModelsRequest(), reader)).models
    for method, request in (
        ("TrainScoringModel", train()),
        ("DeleteScoringModel", pb.DeleteScoringModelRequest(name="deals")),
    ):
        error = await service.error(method, request, reader)
        assert (error.code, error.metadata["scope"]) == (grpc.StatusCode.PERMISSION_DENIED, "scoring:write")
    error = await service.error(
        "ScoreLeads", pb.ScoreLeadsRequest(name="deals"), service.metadata(USER, "inference:invoke")
    )
    assert error.code is grpc.StatusCode.PERMISSION_DENIED


NESTED = Struct(fields={"a": Value(list_value=ListValue())})
INFINITE = Struct(fields={"a": Value(number_value=float("inf"))})
UNSET = Struct(fields={"a": Value()})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "Deals"}, "name"),
        ({"name": "../deals"}, "name"),
        ({"csv": ""}, "csv"),
        ({"rows": [row(a=1)]}, "csv"),
        ({"csv": "é" * 1_500_001}, "csv"),
        ({"csv": "", "rows": [Struct()] * 20_001}, "rows"),
        ({"csv": "", "rows": [row(a=1), NESTED]}, "rows[1].a"),
        ({"csv": "", "rows": [INFINITE]}, "rows[0].a"),
        ({"csv": "", "rows": [UNSET]}, "rows[0].a"),
        ({"csv": "", "rows": [row(**{"x" * 201: 1})]}, "rows[0]"),
        ({"csv": "", "rows": [row(**{"": 1})]}, "rows[0]"),
        ({"label_column": ""}, "label_column"),
        ({"label_column": "x" * 201}, "label_column"),
        ({"positive_label": "x" * 201}, "positive_label"),
        ({"column_kinds": {f"c{number}": 1 for number in range(201)}}, "column_kinds"),
        ({"column_kinds": {"won": pb.COLUMN_KIND_TEXT}}, "column_kinds[won]"),
        ({"column_kinds": {"source": 9}}, "column_kinds[source]"),
    ],
)
async def test_a_request_to_train_that_breaks_a_bound_names_the_field(
    service: Running, fields: dict[str, Any], field: str
) -> None:
    error = await service.error("TrainScoringModel", train(**fields))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")
    assert field in [name for name, _ in error.violations]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"csv": as_csv(leads(19))}, "csv", "there are 19 rows with a label; at least 20 are needed"),
        ({"csv": "a,won\n" + "1,yes\n" * 30}, "csv", "all rows ended the same way: `won` is always `yes`"),
        ({"csv": "a,won\n1,yes\n2\n"}, "csv", "line 3 has 1 fields, and the line of names has 2"),
        ({"csv": "", "rows": [row(a=1, won="yes")] * 19}, "rows", "all rows ended the same way"),
        ({"label_column": "lost"}, "label_column", "there is no column `lost`"),
        ({"positive_label": "sold"}, "positive_label", "no row has `sold`"),
        ({"column_kinds": {"colour": pb.COLUMN_KIND_TEXT}}, "column_kinds", "there is no column `colour`"),
        (
            {"csv": "", "rows": [row(**{f"c{index}_{number}": 1 for number in range(50)}) for index in range(40)]},
            "rows",
            "there are 2000 columns",
        ),
    ],
)
async def test_rows_that_cannot_train_a_model_say_what_is_missing(
    service: Running, fields: dict[str, Any], field: str, words: str
) -> None:
    error = await service.error("TrainScoringModel", train(**fields))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_TRAINING_DATA_UNUSABLE")
    assert error.metadata["field"] == field
    assert words in error.message
    assert [name for name, _ in error.violations] == [field]
    assert words in error.violations[0][1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"version": -1}, "version"),
        ({"rows": []}, "rows"),
        ({"rows": [row(a=1)] * 1001}, "rows"),
        ({"rows": [row(a=1), NESTED]}, "rows[1].a"),
        ({"contribution_limit": 51}, "contribution_limit"),
        ({"contribution_limit": -1}, "contribution_limit"),
    ],
)
async def test_a_request_to_score_that_breaks_a_bound_names_the_field(
    service: Running, fields: dict[str, Any], field: str
) -> None:
    request = pb.ScoreLeadsRequest(**({"name": "deals", "rows": [row(a=1)]} | fields))
    error = await service.error("ScoreLeads", request)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in [name for name, _ in error.violations]


async def test_a_thousand_leads_are_scored_in_one_call(service: Running) -> None:
    rows = [row(employees=number, source="list") for number in range(1000)]
    scored = await service.call("ScoreLeads", pb.ScoreLeadsRequest(name="deals", rows=rows))
    scores = [one.score for one in scored.scores]
    assert len(scores) == 1000
    assert scores in (sorted(scores), sorted(scores, reverse=True))


async def test_a_model_that_was_changed_on_disk_is_an_error_without_a_path(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await service.call("TrainScoringModel", train(name="deals"))
        (file,) = await asyncio.to_thread(lambda: list(tmp_path.rglob("000001.json")))
        file.write_bytes(file.read_bytes().replace(b"numeric", b"Numeric"))
        for method, request in (
            ("GetScoringModel", pb.GetScoringModelRequest(name="deals")),
            ("ScoreLeads", pb.ScoreLeadsRequest(name="deals", rows=[row(a=1)])),
        ):
            error = await service.error(method, request)
            assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "ERROR_REASON_INTERNAL")
            assert error.message == "Version 1 of the scoring model deals is damaged. Train the model again."
        assert (await service.call("ListScoringModels", pb.ListScoringModelsRequest())).models == []
        assert (await service.call("TrainScoringModel", train(name="deals"))).model.version == 2


async def test_scores_that_do_not_fit_into_a_message_are_refused_in_words(tmp_path: Path) -> None:
    async with running(tmp_path, PARLEY_MAX_MESSAGE_BYTES="65536") as service:
        await service.call("TrainScoringModel", train(name="deals"))
        rows = [row(employees=number, source="list") for number in range(900)]
        error = await service.error("ScoreLeads", pb.ScoreLeadsRequest(name="deals", rows=rows, contribution_limit=50))
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED")
        assert "fewer rows" in error.message


def workers() -> set[int]:
    """The processes that this one started for scoring."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for process_id in (task / "children").read_text().split():
            try:
                command = Path(f"/proc/{process_id}/cmdline").read_bytes()
            except FileNotFoundError:
                continue
            if b"scoring_worker" in command:
                found.add(int(process_id))
    return found


async def test_a_training_whose_caller_leaves_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    before = workers()
    async with running(tmp_path) as service:
        request = train(name="deals", csv=as_csv(leads(15_000)))
        call = service.stub.TrainScoringModel(request, metadata=service.metadata())
        deadline = time.monotonic() + 60
        while not workers() - before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        call.cancel()
        while workers() - before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert (await service.call("ListScoringModels", pb.ListScoringModelsRequest())).models == []
    assert not workers() - before
    assert not any(name.endswith(".json") for _, _, names in os.walk(tmp_path / "inference") for name in names)


async def test_a_training_that_takes_too_long_is_an_error(tmp_path: Path) -> None:
    async with running(tmp_path, PARLEY_INFERENCE_SCORING_TRAINING_SECONDS="1") as service:
        error = await service.error("TrainScoringModel", train(csv=as_csv(leads(15_000))))
        assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_DEADLINE_EXCEEDED")
        assert "fewer rows" in error.message


async def test_a_personal_token_that_was_revoked_does_not_get_in(tmp_path: Path) -> None:
    async def check(request: identity_service_pb2.CheckAccessTokenRequest, context: Any) -> Any:
        return identity_service_pb2.CheckAccessTokenResponse(good=request.access_token_id.endswith("a"))

    chat = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=identity_service_pb2.CheckAccessTokenRequest.FromString,
        response_serializer=identity_service_pb2.CheckAccessTokenResponse.SerializeToString,
    )
    name = "parley.identity.v1.IdentityService"
    chat.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"CheckAccessToken": handler}),))
    port = chat.add_insecure_port("127.0.0.1:0")
    await chat.start()
    async with running(tmp_path, PARLEY_CHAT_ADDRESS=f"127.0.0.1:{port}") as service:
        request = pb.ListScoringModelsRequest()
        good, revoked = (service.metadata(jti=f"tok_{letter * 32}") for letter in "ab")
        assert (await service.call("ListScoringModels", request, good)).models == []
        error = await service.error("ListScoringModels", request, revoked)
        assert error.code is grpc.StatusCode.UNAUTHENTICATED
        await chat.stop(None)
        unknown = service.metadata(jti=f"tok_{'c' * 32}")
        assert (await service.error("ListScoringModels", request, unknown)).code is grpc.StatusCode.UNAVAILABLE
        assert (await service.call("ListScoringModels", request)).models == []


async def test_what_one_process_trained_into_a_bucket_another_scores_with(
    tmp_path: Path, object_store: ObjectStore
) -> None:
    variables = {
        "PARLEY_INFERENCE_SCORING_S3": f"s3://{object_store.new_bucket()}/scoring",
        "AWS_ENDPOINT_URL": object_store.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    async with running(tmp_path / "one", **variables) as one:
        await one.call("TrainScoringModel", train(name="deals"))
    async with running(tmp_path / "other", **variables) as other:
        answer = await other.call("ScoreLeads", pb.ScoreLeadsRequest(name="deals", rows=[row(source="referral")]))
        assert answer.version == 1
        assert 0 <= answer.scores[0].score <= 1
        await other.call("DeleteScoringModel", pb.DeleteScoringModelRequest(name="deals"))
        error = await other.error("GetScoringModel", pb.GetScoringModelRequest(name="deals"))
        assert error.code is grpc.StatusCode.NOT_FOUND


async def test_a_bucket_that_does_not_answer_is_unavailable_and_the_rest_goes_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    variables = {
        "PARLEY_INFERENCE_SCORING_S3": "s3://some-bucket",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    async with running(tmp_path, **variables) as service:
        error = await service.error("ListScoringModels", pb.ListScoringModelsRequest())
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SERVICE_UNAVAILABLE")
    assert error.retry_after_seconds
    assert "some-bucket" not in error.message
    assert str(port) not in error.message
