"""Run one case in processes of its own and bring back reports, measurement and the way it ended."""

from __future__ import annotations

import builtins
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pytest_batchguard.core.model import Device, Failure, FailureKind, Measurement
from pytest_batchguard.core.plan import Pass, Plan
from pytest_batchguard.errors import IsolationError, last_line
from pytest_batchguard.isolation.job import Job
from pytest_batchguard.isolation.launch import Child, ForkLauncher, Launcher, SpawnLauncher
from pytest_batchguard.isolation.supervise import EndingKind, supervise
from pytest_batchguard.isolation.turns import Companion
from pytest_batchguard.measure.memory import MEMORY_PASS_SERVER_ENVIRONMENT, cpu_allocator_environment
from pytest_batchguard.measure.nvml import used_bytes
from pytest_batchguard.plugin import options
from pytest_batchguard.plugin.child import Assignment
from pytest_batchguard.plugin.conversation import Attempt, Beside, Conversation, ShowProgress
from pytest_batchguard.plugin.endings import failure_of, kernel_kills, tail, with_strangers
from pytest_batchguard.plugin.own_memory import OwnMemory
from pytest_batchguard.plugin.place import Place
from pytest_batchguard.plugin.policy import Policy
from pytest_batchguard.plugin.reports import has_ended
from pytest_batchguard.storage.checkout import Checkout
from pytest_batchguard.training import oom

_PRELOAD = ("tensorflow", "keras", "pytest", "pytest_batchguard.plugin.child", "pytest_batchguard.training.keras_fit")
_ENTRY = "pytest_batchguard.plugin.child:run_case"
_YARDSTICK_ENTRY = "pytest_batchguard.training.yardstick_kernel:serve"
_YARDSTICK_SECONDS = 120.0

_TIGHT = "tight: the allocator had to collect its free regions to go on"
_NO_ROOM_BESIDE = (
    "the card had no room for the yardstick's process, or takes one at a time; timed in the training's, it tells less "
    "of an input pipeline"
)

StartBeside = Callable[[], Beside]


class CaseRunner:
    """Owns the process servers and their scratch folder.

    Args:
        config: Of the parent.
        device: What the cases train on.
        show_progress: Takes the children's progress messages.
    """

    def __init__(self, config: pytest.Config, device: Device, show_progress: ShowProgress) -> None:
        self._config = config
        self._device = device
        self._show_progress = show_progress
        self._scratch = tempfile.TemporaryDirectory(prefix="batchguard-")
        self._processes = 0
        self._forks = _forks(config)
        self._launchers: dict[Pass, Launcher] = {kind: self._launcher(kind) for kind in self._kinds()}
        self._own_memory = OwnMemory(device)

    def close(self) -> None:
        """End the servers and remove the scratch folder."""
        for launcher in self._launchers.values():
            launcher.close()
        self._scratch.cleanup()
        self._own_memory.close()

    def measure(self, item: pytest.Item, policy: Policy, start_beside: StartBeside | None = None) -> Attempt:
        """Measure one case once, in as many processes as the device wants; see `run_pass`."""
        used_before = used_bytes(self._device.uuid) if self._device.uuid and start_beside is None else 0
        attempt = self._measure(item, policy, start_beside)
        measurement = attempt.measurement
        if measurement is not None and measurement.failure is not None:
            failure = with_strangers(measurement.failure, self._device, used_before)
            attempt.measurement = replace(measurement, failure=failure)
        return attempt

    def _measure(self, item: pytest.Item, policy: Policy, start_beside: StartBeside | None) -> Attempt:
        attempt = Attempt()
        with ExitStack() as stack:
            when_it_trains = None
            if start_beside is None and not self._device.is_gpu:
                start_beside = self._yardstick_once(policy.plan(Pass.THROUGHPUT, self._device), stack)
                when_it_trains = start_beside
            for kind in self._kinds():
                before = attempt.measurement
                plan = replace(policy.plan(kind, self._device), memory=before.memory if before else None)
                attempt = self.run_pass(
                    item, plan, policy.timeout_seconds, start_beside=start_beside, when_it_trains=when_it_trains
                )
                if attempt.measurement is None or attempt.measurement.failure is not None:
                    return attempt
                if before is not None:
                    attempt.measurement = attempt.measurement.with_memory_of(before)
        return attempt

    def run_pass(
        self,
        item: pytest.Item,
        plan: Plan,
        timeout_seconds: float,
        *,
        checkout: Checkout | None = None,
        start_beside: StartBeside | None = None,
        when_it_trains: StartBeside | None = None,
    ) -> Attempt:
        """Run one pass of a case in a process of its own.

        Args:
            item: The case.
            plan: What to measure.
            timeout_seconds: From start to end.
            checkout: The commit whose code to run, in place of the project's own tree.
            start_beside: Starts what the training takes turns with, in place of the yardstick; whoever hands it over
                ends what it has started.
            when_it_trains: Starts the same ahead of the question for it, so that it gets ready meanwhile.
        """
        job = self.job(item, plan, checkout, takes_turns=start_beside is not None)
        with ExitStack() as started:
            if start_beside is None:
                start = partial(self._start_yardstick, plan, started)
                conversation = Conversation(self._config, self._show_progress, start, self._lacks_room, started.close)
            else:
                conversation = self.conversation(start_beside, when_it_trains)
            attempt = conversation.attempt
            killed_before = kernel_kills()
            try:
                child = self.launch(job, plan.kind)
                ending = supervise(child, timeout_seconds, partial(conversation.take, child))
            except IsolationError as error:
                failure = Failure(FailureKind.ERROR, f"its process did not start: {last_line(str(error))}")
                attempt.measurement = _failed(plan, failure)
                return attempt
            finally:
                remove_temporary_files(job)
        if ending.kind is not EndingKind.COMPLETE:
            attempt.output = tail(job.output_path)
            killed = kernel_kills() > killed_before
            failure = failure_of(ending, attempt.output, timeout_seconds, conversation.phase, killed_by_kernel=killed)
            attempt.measurement = _failed(plan, failure)
        elif not has_ended(attempt.reports):
            attempt.output = attempt.output or tail(job.output_path)  # of a session that broke off
        elif attempt.measurement is not None:
            is_tight = oom.was_tight(tail(job.output_path))
            seen = ((_TIGHT, is_tight), (_NO_ROOM_BESIDE, conversation.has_no_yardstick))
            notes = (*attempt.measurement.notes, *(note for note, is_so in seen if is_so))
            attempt.measurement = replace(attempt.measurement, notes=notes)
        return attempt

    @contextmanager
    def one_yardstick(self, plan: Plan) -> Iterator[StartBeside]:
        """Yield what starts a yardstick that several processes in a row take turns with, once one of them asks.

        Args:
            plan: Says the yardstick's sizes.
        """
        with ExitStack() as stack:
            yield self._yardstick_once(plan, stack)

    def _kinds(self) -> tuple[Pass, ...]:
        return (Pass.WHOLE,) if self._device.is_gpu else (Pass.MEMORY, Pass.THROUGHPUT)

    def _server_of(self, kind: Pass) -> Pass:
        """Return the pass whose server starts a process; only the CPU's memory pass wants one of its own."""
        return kind if kind in self._launchers else self._kinds()[-1]

    def _launcher(self, kind: Pass) -> Launcher:
        if not self._forks:
            return SpawnLauncher()
        # pytest's own modules too: what this process has loaded, each child would load anew.
        preload = (*_PRELOAD, *(name for name in sys.modules if name.startswith("_pytest.")))
        return ForkLauncher(
            preload, _server_environment(kind, self._device), sys.path, self._path(f"server-{kind.value}")
        )

    def _path(self, name: str) -> str:
        return os.path.join(self._scratch.name, name)  # noqa: PTH118 -- a job's paths are texts

    def launch(self, job: Job, kind: Pass) -> Child:
        """Start a job from the server of a pass.

        Raises:
            IsolationError: It could not be started.
        """
        with self._own_memory.as_before():
            return self._launchers[self._server_of(kind)].launch(job)

    def conversation(self, start_beside: StartBeside, when_it_trains: StartBeside | None = None) -> Conversation:
        """Return what takes the messages of one process; see `run_pass`."""
        return Conversation(self._config, self._show_progress, start_beside, when_it_trains=when_it_trains)

    def job(self, item: pytest.Item, plan: Plan, checkout: Checkout | None = None, *, takes_turns: bool = False) -> Job:
        """Return the job of one pass; see `run_pass`."""
        self._processes += 1
        place = Place(checkout)
        invocation = self._config.invocation_params
        environment = _server_environment(self._server_of(plan.kind), self._device)
        if plan.has_cpu_pool:
            environment |= cpu_allocator_environment(plan.budget_bytes or plan.device.memory_bytes)
        directory = place.path(invocation.dir)
        file = _relative(place.path(item.path), directory)
        function = item.nodeid.partition("::")[2].partition("[")[0]
        captures = self._config.getoption("capture") != "no"
        # What is printed then goes to the process's own output too, where it outlives a crash.
        added = [f"--capture={'tee-sys' if captures else 'no'}"]
        if self._config.pluginmanager.has_plugin("pytest_cov"):
            added.append("--no-cov")  # it would slow the training and not its yardstick
        assignment = Assignment(
            arguments=_with_options(place.arguments(invocation.args), added),
            target=f"{file}::{function}",
            node_id=item.nodeid,
            plan=plan,
            temporary_directory=self._path(f"tmp-{self._processes}"),
            has_yardstick_beside=plan.kind.takes_throughput or plan.answers or takes_turns,
            foreign_tree=place.foreign_tree,
        )
        return Job(
            entry=_ENTRY,
            payload=assignment,
            environment=environment,
            working_directory=str(directory),
            module_path=place.module_path(sys.path),
            output_path=self._path(f"output-{self._processes}") if captures else None,
        )

    def _lacks_room(self, why: str) -> bool:
        """Return whether the yardstick found no room on the card, by its error or by what it last wrote."""
        return self._device.is_gpu and oom.finds_no_room(f"{why}\n{tail(self._path('yardstick'))}")

    def _yardstick_once(self, plan: Plan, stack: ExitStack) -> StartBeside:
        """Return what starts the yardstick's process, which ends with `stack`, unless it runs already."""
        running: list[Companion] = []

        def start() -> Companion:
            if running and running[-1].has_failed:
                running.pop().close()
            if not running:
                running.append(self._start_yardstick(plan, stack))
            return running[-1]

        return start

    def _start_yardstick(self, plan: Plan, stack: ExitStack) -> Companion:
        """Start the yardstick's process, which ends with `stack`."""
        output = self._path("yardstick")
        Path(output).unlink(missing_ok=True)  # what an earlier one wrote says nothing of this one
        job = Job(
            entry=_YARDSTICK_ENTRY,
            payload=plan,
            environment=_server_environment(plan.kind, self._device),
            module_path=tuple(sys.path),
            output_path=output,
        )
        companion = Companion(self.launch(job, plan.kind), _YARDSTICK_SECONDS)
        stack.callback(companion.close)
        return companion


def remove_temporary_files(job: Job) -> None:
    """Remove the `tmp_path` tree of a case's process that has ended: those of many processes fill a disk."""
    shutil.rmtree(job.payload.temporary_directory, ignore_errors=True)


def _relative(path: Path, directory: Path) -> str:
    """Return a path from a directory, since pytest takes a bracket in a path for the beginning of a parameter."""
    try:
        return os.path.relpath(path, directory)
    except ValueError:  # on another drive of Windows
        return str(path)


def _with_options(arguments: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments with more options, before `--`, behind which there are none."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return (*arguments[:end], *options, *arguments[end:])


def replay_warnings(attempt: Attempt, config: pytest.Config) -> None:
    """Hand the warnings of a child to this session's summary."""
    for message in attempt.warnings:
        name = message["category"]
        category: type[Warning] = getattr(builtins, name, getattr(pytest, name, UserWarning))
        warning = warnings.WarningMessage(message["message"], category, message["filename"], message["lineno"])
        config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": warning,
                "when": message["when"],
                "nodeid": message["nodeid"],
                "location": None,
            }
        )


def _forks(config: pytest.Config) -> bool:
    method = options.value(config, "batchguard_start_method")
    return bool(method == "fork" or (method == "auto" and sys.platform == "linux"))


def _server_environment(kind: Pass, device: Device) -> dict[str, str]:
    # A set of texts has one order then, as a seeded run needs it.
    seeded = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")}
    if not device.is_gpu:
        # Hidden from Keras too, which compiles with XLA wherever there is a card.
        hidden = {"CUDA_VISIBLE_DEVICES": "-1"}
        return seeded | hidden | (MEMORY_PASS_SERVER_ENVIRONMENT if kind is Pass.MEMORY else {})
    # Makes CUDA count the cards as NVML does.
    return seeded | {"CUDA_DEVICE_ORDER": os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")}


def _failed(plan: Plan, failure: Failure) -> Measurement:
    return Measurement(plan.case.batch_size, plan.case.image_size, failure=failure)
