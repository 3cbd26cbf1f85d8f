"""wandb, kept at arm's length: the one file that imports it."""

import logging
import netrc
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nerlab.evaluation.report import Report, marked
from nerlab.paths import make_folder
from nerlab.training.recorder import Tracker

logger = logging.getLogger(__name__)
_EXAMPLES = 200
_PATIENCE = 60.0  # seconds that the end of a run waits for wandb
_LAST_PATIENCE = 5.0  # and, where that was too little, once its service is killed
_MAX_WAITING = 10_000  # calls that wandb has not taken yet
_chosen: dict[str, str] = {}  # variables of the environment that an earlier run of ours has set


class WandbTracker(Tracker):
    """Log a run with wandb, online if there is a key for it, else offline.

    Offline runs lie in the run directory. All of wandb is called in a thread of its own, since a
    call blocks for ever where its process is stopped. Whatever goes wrong costs one warning, and
    training goes on without wandb. ``init_timeout`` is how many seconds it waits for the network
    before the run goes offline.
    """

    def __init__(
        self,
        run_directory: Path,
        name: str,
        config: Mapping[str, Any],
        project: str,
        init_timeout: float,
    ) -> None:
        self._run: Any = None
        self._is_incomplete = False
        self._calls: SimpleQueue[Callable[[Any], None] | None] = SimpleQueue()
        start = partial(_start, run_directory, name, config, project, init_timeout)
        self._worker = threading.Thread(target=self._work, args=(start,), daemon=True)
        self._worker.start()

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log numbers; wandb takes them in the background."""
        self._add(lambda run: run.log(dict(metrics), step=step))

    def log_report(self, report: Report) -> None:
        """Log the confusion matrix and a table of tagged sentences of a split."""
        self._add(lambda run: _log_report(run, report))

    def finish(self) -> None:
        """End the run, waiting a minute at most, and say how to look at it."""
        self._calls.put(None)
        self._worker.join(_PATIENCE)
        if self._worker.is_alive():
            self._is_incomplete = True
            _kill_service()
            self._worker.join(_LAST_PATIENCE)
        if self._is_incomplete:
            logger.warning("wandb is too slow, or stopped; its run may lack rows")
        if self._run is None:
            return
        if self._run.offline:
            folder = Path(self._run.dir).parent
            logger.info("look at the run: wandb leet %s   (wandb sync %s sends it)", folder, folder)
        else:
            logger.info("look at the run: %s", self._run.url)

    def _add(self, call: Callable[[Any], None]) -> None:
        if self._calls.qsize() >= _MAX_WAITING:
            self._is_incomplete = self._worker.is_alive()
        else:
            self._calls.put(call)

    def _work(self, start: Callable[[], Any]) -> None:
        """Start the run and do what was added, until there is no more, or wandb fails."""
        try:
            run = self._run = start()
            while (call := self._calls.get()) is not None:
                call(run)
            run.finish()
        except Exception as error:
            if not self._is_incomplete:
                self._run = None
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                logger.warning("wandb failed (%s); the run goes on without it", reason)
            with suppress(Exception):
                import wandb

                wandb.teardown()  # else it complains at exit
            _kill_service()


def _start(
    directory: Path, name: str, config: Mapping[str, Any], project: str, init_timeout: float
) -> Any:
    folder = make_folder(directory, "wandb")
    # wandb keeps a cache and settings in the home directory unless told otherwise.
    for kind in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
        variable = f"WANDB_{kind}_DIR"
        if os.environ.get(variable) in (None, _chosen.get(variable)):
            _chosen[variable] = os.environ[variable] = str(folder)
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    init = partial(
        wandb.init,
        project=project,
        name=name,
        group=name,  # holds together what a run that was resumed leaves in pieces
        dir=directory,
        config=dict(config),
        settings=wandb.Settings(init_timeout=init_timeout, console="off"),
    )
    if mode := os.environ.get("WANDB_MODE"):
        return init(mode=mode)  # type: ignore[arg-type]
    if _has_key():
        try:
            return init(mode="online")
        except Exception as error:
            logger.warning("wandb is not to be reached (%s): the run goes offline", error)
    return init(mode="offline")


def _kill_service() -> None:
    """Kill wandb's process, a child of this one, if it is still there.

    It may be stopped, and would hold standard output open for ever. Where there is no /proc, it is
    left alone.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (folder / "stat").read_text().rpartition(") ")
            if "wandb" in name and int(rest.split()[1]) == os.getpid():
                os.kill(int(folder.name), signal.SIGKILL)


def _log_report(run: Any, report: Report) -> None:
    import wandb

    counts = [[*pair, count] for pair, count in sorted(report.confusions.items())]
    confusions = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=counts)
    fields = {name: name for name in ("Actual", "Predicted", "nPredictions")}
    matrix = wandb.plot_table(
        "wandb/confusion_matrix/v1", confusions, fields, {"title": f"{report.split}: tokens"}
    )
    rows = zip(report.tokens, report.gold, report.predicted, strict=True)
    examples = [
        [marked(tokens, gold), marked(tokens, predicted), list(gold) == list(predicted)]
        for tokens, gold, predicted in rows
    ]
    step = max(1, len(examples) // _EXAMPLES)
    table = wandb.Table(columns=["gold", "predicted", "right"], data=examples[::step])
    prefix = f"{report.split}/final"
    run.log({f"{prefix}/confusion_matrix": matrix, f"{prefix}/examples": table})


def _has_key() -> bool:
    """Whether wandb could log in without asking."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].strip("/")
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
