"""A run of faults: many turns at once, readers that are cut, processes that are killed, and then every transcript against the log.

`FaultRun.run` disturbs, `FaultRun.verify` compares and gives the `FaultReport`. The seed repeats the choices, not the moment at which
the operating system does what was chosen.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random

from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2

from parley_testing.fault_callers import Stopper, WholeReader
from parley_testing.fault_kills import Kills, freeze_at_random, kill_at_random
from parley_testing.fault_readers import ClientReader, DoorReader, Tally
from parley_testing.fault_report import FaultReport
from parley_testing.fault_upstream import FaultUpstream, Script
from parley_testing.fault_verdict import RanTurn, Verdict
from parley_testing.fault_ways import Ways
from parley_testing.mesh import Mesh, SignedUp

MOST_CHAT_KILLS_OF_A_TURN = 2
"""A turn goes on five times and then fails, as it is documented. Here none shall come so far, also where a machine is so slow that leases
run out by themselves."""
TURN_SECONDS = 300.0
"""How long a turn and all its readers may take before that is a failure."""
USERS = 4


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How much is done."""

    seed: str
    cuts: int
    """At least so many."""
    kills: int
    """Exactly so many."""
    turns_at_once: int = 10
    most_words: int = 160
    """How long answers are at most."""
    kill_pause_seconds: float = 3.5
    """Between two kills, on average."""
    freeze_pause_seconds: float = 0.0
    """Between two freezes of a process of chat, on average; 0 for none."""


@dataclass(slots=True)
class FaultRun:
    """One run against one Parley."""

    plan: FaultPlan
    mesh: Mesh
    upstream: FaultUpstream
    kills: Kills
    tally: Tally = field(default_factory=Tally)
    turns: list[RanTurn] = field(default_factory=list)
    _running: dict[str, float] = field(default_factory=dict)
    """When the running turns began, by key."""
    _users: list[SignedUp] = field(default_factory=list)
    _began: float = 0.0
    _numbers: int = 0

    async def run(self) -> None:
        """Runs turns until there were enough cuts and kills. Raises what a reader or a kill raised, FaultError for example."""
        self._began = time.monotonic()
        self._users = [await asyncio.to_thread(self.mesh.sign_up) for _ in range(USERS)]
        killing = asyncio.create_task(
            kill_at_random(
                self.kills,
                Random(f"{self.plan.seed} kills"),
                self.plan.kills,
                self.plan.kill_pause_seconds,
                self._may_kill,
            )
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                freezing = tasks.create_task(self._freeze())
                for worker in range(self.plan.turns_at_once):
                    tasks.create_task(self._work(worker, killing))
                await killing
                freezing.cancel()
            await self.kills.wait_until_all_are_back()
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
            await self.kills.close()

    async def verify(self) -> FaultReport:
        """Replays every turn and compares. Nothing disturbs any more, and nothing may fail any more."""
        await self._ways.wait_until_all_answer(self.turns[0].token, self.turns[0].session_id)
        verdict = Verdict(self._ways, Random(f"{self.plan.seed} replays"))
        for turn in self.turns:
            await verdict.judge(turn)
        verdict.complaints += self.upstream.wrong
        return FaultReport.of(
            verdict, self.turns, self.tally, self.kills, self.upstream, seconds=time.monotonic() - self._began
        )

    async def _freeze(self) -> None:
        if self.plan.freeze_pause_seconds:
            random = Random(f"{self.plan.seed} freezes")
            await freeze_at_random(self.kills, random, self.plan.freeze_pause_seconds, self._may_kill)

    @property
    def _ways(self) -> Ways:
        replicas = [self.mesh.address(name) for name in self.mesh.pids if name.startswith("chat")]
        return Ways(self.mesh.grpc_address, tuple(replicas) if len(replicas) > 1 else ())

    def _may_kill(self, name: str) -> bool:
        if not name.startswith("chat"):
            return True
        return all(self.kills.since(began, "chat") < MOST_CHAT_KILLS_OF_A_TURN for began in self._running.values())

    async def _work(self, worker: int, killing: asyncio.Task[None]) -> None:
        """Runs one turn behind the other, several of them in the same session."""
        random = Random(f"{self.plan.seed} worker {worker}")
        user = self._users[worker % USERS]
        session_id, left_in_session = "", 0
        while not killing.done() or self.tally.all_cuts < self.plan.cuts:
            if not left_in_session:
                session_id, left_in_session = "", random.randint(1, 4)
            left_in_session -= 1
            self._numbers += 1
            key = f"t{worker}x{self._numbers}"
            self._running[key] = time.monotonic()
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    turn = await self._run_turn(key, random, user, session_id)
            except TimeoutError:
                raise AssertionError(f"the turn of {key} had no end within {TURN_SECONDS:g} s") from None
            finally:
                del self._running[key]
            session_id = turn.session_id

    async def _run_turn(self, key: str, random: Random, user: SignedUp, session_id: str) -> RanTurn:
        on_failure = random.choices(
            (message_pb2.ON_FAILURE_UNSPECIFIED, message_pb2.ON_FAILURE_RESTART, message_pb2.ON_FAILURE_FAIL),
            (16, 2, 1),
        )[0]
        # What begins anew with every kill has to be short to come to its end.
        words = (
            random.randint(20, 60)
            if on_failure == message_pb2.ON_FAILURE_RESTART
            else random.randint(30, self.plan.most_words)
        )
        script = Script(key, words, random.choice((15.0, 25.0, 40.0)), random.choice((0.0, 0.0, 0.3)))
        self.upstream.answer(script)
        request = pb.StreamReplyRequest(
            message=script.prompt,
            session_id=session_id,
            client_message_id=f"{key}-{random.getrandbits(64):016x}",
            route=random.choice((message_pb2.ROUTE_STANDARD, message_pb2.ROUTE_ENHANCED)),
            on_failure=on_failure,
            queue_when_unavailable=random.random() < 0.2,
        )
        turn = RanTurn(script, request, user.token)
        sender: DoorReader | ClientReader
        if random.random() < 0.25 and not request.queue_when_unavailable:
            sender = self._client_reader(f"{key} client", random, user, request)
            turn.clients.append(sender)
        else:
            sender = self._door_reader(f"{key} sender", random, user, request)
            turn.readers.append(sender)
        self.turns.append(turn)
        async with asyncio.TaskGroup() as reading:
            reading.create_task(sender.read())
            for number in range(random.choice((0, 1, 1, 2))):
                if random.random() < 0.25:
                    client = self._client_reader(f"{key} second client {number}", random, user)
                    turn.clients.append(client)
                    reading.create_task(self._join(client, sender, random.uniform(0, 2)))
                else:
                    reader = self._door_reader(f"{key} watcher {number}", random, user)
                    turn.readers.append(reader)
                    reading.create_task(self._join(reader, sender, random.uniform(0, 2)))
            if random.random() < 0.2:
                turn.whole = WholeReader(
                    f"{key} whole",
                    self._ways,
                    user.token,
                    Random(random.random()),
                    self.tally,
                    random.randint(0, 3),
                    request,
                    lambda: sender.failed,
                )
                reading.create_task(turn.whole.read())
            if random.random() < 0.15:
                turn.stopper = Stopper(f"{key} stopper", self._ways, user.token, Random(random.random()))
                reading.create_task(self._stop(turn.stopper, sender, random.uniform(0, 3)))
        return turn

    async def _stop(self, stopper: Stopper, sender: DoorReader | ClientReader, after_seconds: float) -> None:
        await sender.turn_known.wait()
        await asyncio.sleep(after_seconds)
        await stopper.stop(sender.turn_id)

    async def _join(
        self, reader: DoorReader | ClientReader, sender: DoorReader | ClientReader, after_seconds: float
    ) -> None:
        await sender.turn_known.wait()
        await asyncio.sleep(after_seconds)
        await reader.read(sender.turn_id)

    def _door_reader(
        self, name: str, random: Random, user: SignedUp, request: pb.StreamReplyRequest | None = None
    ) -> DoorReader:
        own = Random(random.random())
        return DoorReader(
            name,
            self._ways,
            user.token,
            own,
            self.tally,
            own.randint(0, 12),
            request,
            slow=own.random() < 0.15,
        )

    def _client_reader(
        self, name: str, random: Random, user: SignedUp, request: pb.StreamReplyRequest | None = None
    ) -> ClientReader:
        own = Random(random.random())
        return ClientReader(name, self._ways, user.token, own, self.tally, own.randint(0, 6), request)
