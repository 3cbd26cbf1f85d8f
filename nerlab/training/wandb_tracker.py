"""wandb, kept at arm's length: the one file that imports it."""

import logging
import netrc
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from secrets import token_hex
from typing import Any

from nerlab.evaluation.pages import Pictures
from nerlab.evaluation.report import Report, marked
from nerlab.evaluation.settings import configuration_name
from nerlab.files import write_file
from nerlab.paths import check_plain, make_folder
from nerlab.training.recorder import Tracker

logger = logging.getLogger(__name__)
_EXAMPLES = 200
_LONGEST_NAME = 100  # of an artifact, before its id
_PATIENCE = 60.0  # seconds that the end of a run waits for wandb
_LAST_PATIENCE = 5.0  # and, where that was too little, once its service is killed
_BYTES_A_SECOND = 1e6  # of an artifact, which make it wait longer
_MAX_WAITING = 10_000  # calls that wandb has not taken yet
_chosen: dict[str, str] = {}  # variables of the environment that an earlier run of ours has set


class WandbTracker(Tracker):
    """Log a run with wandb, online if there is a key for it, else offline.

    Offline runs lie in the run directory. All of wandb is called in a thread of its own, since a
    call blocks for ever where its process is stopped. Whatever goes wrong costs one warning, and
    training goes on without wandb. A run that is resumed is one run of wandb.

    Args:
        project, entity, group, job_type, tags, notes: as ``wandb.init`` takes them; tags may be one
            word. Without a group it is the name of the configuration, which its seeds share.
        init_timeout: seconds to wait for the network before the run goes offline.
        artifact: keep the best checkpoint as an artifact.
    """

    # The options with a default are those that early runs do not know, which may be resumed.
    def __init__(
        self,
        run_directory: Path,
        name: str,
        config: Mapping[str, Any],
        project: str,
        init_timeout: float,
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: str | Sequence[str] | None = None,
        notes: str | None = None,
        artifact: bool = False,
    ) -> None:
        self._run: Any = None
        self._is_incomplete = False
        self._with_artifact, self._patience = artifact, _PATIENCE
        self._last_step: int | None = None
        self._calls: SimpleQueue[Callable[[Any], None] | None] = SimpleQueue()
        options = {
            "project": project,
            "entity": entity,
            "group": group or os.environ.get("WANDB_RUN_GROUP") or configuration_name(config),
            "job_type": job_type,
            "tags": [tags] if isinstance(tags, str) else tags,
            "notes": notes,
            "name": name,
            "config": dict(config),
        }
        start = partial(_start, run_directory, options, init_timeout)
        self._worker = threading.Thread(target=self._work, args=(start,), daemon=True)
        self._worker.start()

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log numbers; wandb takes them in the background."""
        self._last_step = step
        self._add(lambda run: run.log(dict(metrics), step=step))

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Put numbers into the summary of the run."""
        self._add(lambda run: run.summary.update(dict(values)))

    def log_report(self, report: Report) -> None:
        """Log the confusion matrix and a table of tagged sentences of a split."""
        step = self._last_step
        self._add(lambda run: _log_report(run, report, step))

    def log_pictures(self, draw: Pictures) -> None:
        """Log pictures as images."""
        step, pictures = self._last_step, draw()
        self._add(lambda run: _log_pictures(run, pictures, step))

    def log_checkpoint(self, folder: Path) -> None:
        """Keep a checkpoint as an artifact, if that is asked for."""
        if self._with_artifact:
            size = sum(file.stat().st_size for file in folder.iterdir())
            self._patience += size / _BYTES_A_SECOND
            self._add(lambda run: _log_artifact(run, folder))

    def finish(self) -> None:
        """End the run, waiting a minute at most, longer for an artifact, and say how to look at
        it."""
        self._calls.put(None)
        self._worker.join(self._patience)
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
            is_one = len(list(folder.parent.glob("offline-run-*"))) < 2  # and was not resumed
            sent = folder if is_one else folder.parent / "offline-run-*"
            logger.info("look at the run: wandb leet %s   (wandb sync %s sends it)", folder, sent)
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


def _start(directory: Path, options: dict[str, Any], init_timeout: float) -> Any:
    folder = make_folder(directory, "wandb")
    # wandb keeps a cache and settings in the home directory unless told otherwise.
    for kind in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
        variable = f"WANDB_{kind}_DIR"
        if os.environ.get(variable) in (None, _chosen.get(variable)):
            _chosen[variable] = os.environ[variable] = str(folder)
    os.environ.setdefault("WANDB_SILENT", "true")
    # wandb imports it later on, and beside a thread that catches warnings its own are shown.
    import requests  # noqa: F401
    import wandb

    settings = wandb.Settings(init_timeout=init_timeout, console="off")
    own: dict[str, Any] = {
        "dir": directory,
        "id": _id_of(folder),
        "resume": "allow",
        "settings": settings,
    }
    run = _begin(partial(wandb.init, **own, **options))
    run.define_metric("dev/*", summary="none")  # not the last ones: log_summary has the best
    return run


def _id_of(folder: Path) -> str:
    """The id by which wandb knows this run; made once, so that a resumed run goes on in wandb."""
    path = folder / "id.txt"
    check_plain(path)
    with suppress(FileNotFoundError), path.open("rb") as file:
        found = file.read(17).decode("ascii", "replace")
        if re.fullmatch("[0-9a-f]{16}", found):
            return found
    made = token_hex(8)
    write_file(path, made)
    return made


def _begin(init: Callable[..., Any]) -> Any:
    if mode := os.environ.get("WANDB_MODE"):
        return init(mode=mode)
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


def _log_report(run: Any, report: Report, step: int | None) -> None:
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
    prefix = f"best/{report.split}"
    run.log({f"{prefix}/confusion_matrix": matrix, f"{prefix}/examples": table}, step=step)


def _log_pictures(run: Any, pictures: Mapping[str, bytes], step: int | None) -> None:
    import wandb
    from matplotlib.image import imread

    images = {}
    for name, png in pictures.items():
        pixels = imread(BytesIO(png), format="png") * 255
        images[name] = wandb.Image(pixels.round().astype("uint8"))
    run.log(images, step=step)


def _log_artifact(run: Any, folder: Path) -> None:
    import wandb

    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", run.name)[:_LONGEST_NAME]
    artifact = wandb.Artifact(f"{name}-{run.id}", type="model")  # names of runs come again
    artifact.add_dir(str(folder))
    run.log_artifact(artifact, aliases=["best"])


def _has_key() -> bool:
    """Whether wandb could log in without asking."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].strip("/")
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
