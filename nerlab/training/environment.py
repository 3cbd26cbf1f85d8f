"""Where a run comes from and what it ran on: ``environment.json``; a model card is written from it.

Nothing in it names a person or a machine.
"""

import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import nerlab
from nerlab.data.corpus import Corpus
from nerlab.files import write_file
from nerlab.paths import check_file

logger = logging.getLogger(__name__)
ENVIRONMENT = "environment.json"
_LARGEST = 2**20  # bytes of it that are read
_MB = 10**6
_PATIENCE_S = 10.0  # of git, which looks at every file
# They would have git look at another repository than that of the folder.
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


@contextmanager
def recorded_environment(
    run: Path,
    device: torch.device,
    parameters: int,
    splits: Mapping[str, Corpus],
    digests: Mapping[str, str],
) -> Iterator[None]:
    """Write ``environment.json`` when the block begins, and when it ends once more, with its
    seconds and its memory.

    It holds what :func:`environment` finds, the parameters of the model, the splits with their
    sizes and the SHA-256 of those that have one in ``digests``, and in ``resumed`` the environments
    of the processes that went on with the run. A file that cannot be written costs a warning.
    """
    start, path = time.perf_counter(), run / ENVIRONMENT
    here: dict[str, Any] = environment(device)
    facts = _begun(path)
    if facts:
        facts["resumed"] = [*facts["resumed"], here]
    else:
        sizes = {
            name: {
                "sentences": len(corpus),
                "tokens": len(corpus.tokens),
                "sha256": digests.get(f"{name}_sha256"),
            }
            for name, corpus in splits.items()
        }
        facts = here
        facts |= {"parameters": parameters, "splits": sizes, "resumed": []}
    _write(path, facts)
    try:
        yield
    finally:
        here["seconds"] = round(time.perf_counter() - start, 3)
        here |= _peak_memory(device)
        _write(path, facts)


def environment(device: torch.device) -> dict[str, Any]:
    """What this process runs: the command, the code, the versions, the machine, without names."""
    own = Path(nerlab.__file__).parent
    of_nerlab, of_folder = _repository(own, "__init__.py"), _repository(Path())
    commit = {"top": None, "commit": None, "dirty": None} if of_nerlab is None else of_nerlab
    facts = {"command": command(), "commit": commit["commit"], "dirty": commit["dirty"]}
    if of_folder is not None and of_folder["top"] != commit["top"]:
        facts["current_folder"] = {name: of_folder[name] for name in ("commit", "dirty")}
    return facts | {
        "versions": {
            "python": platform.python_version(),
            "nerlab": nerlab.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "cuda": torch.version.cuda,
        },
        "hardware": _hardware(device),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "begun": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": None,  # known when the process ends
    }


def command() -> list[str] | None:
    """The words to type to train like this process, or this job of a sweep, without whom to trust,
    which each person says; None where Hydra did not begin it."""
    if not HydraConfig.initialized():
        return None
    hydra: Any = HydraConfig.get()
    sources = (source for source in hydra.runtime.config_sources if source.schema == "file")
    own = [source.path for source in sources if source.provider == "command-line"]
    folders = [f"--config-dir={os.path.relpath(path)}" for path in own]
    given: Any = OmegaConf.to_container(hydra.overrides.task)  # as typed: references stay
    kept = (word for word in given if not word.lstrip("+~").startswith("trust="))
    return ["python", "train.py", *folders, *kept]


def _begun(path: Path) -> dict[str, Any]:
    """What the process that began the run has written; nothing if that is not to be read."""
    try:
        check_file(path, _LARGEST)
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    is_whole = isinstance(facts, dict) and isinstance(facts.get("resumed"), list)
    return facts if is_whole else {}


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    try:
        write_file(path, json.dumps(facts, indent=1) + "\n")
    except OSError as error:
        logger.warning("%s: %s; the run goes on without it", path, error.strerror)


def _repository(folder: Path, file: str | None = None) -> dict[str, Any] | None:
    """The top folder and the commit of the git repository that a folder is in, and whether files
    that it tracks have changed since; None where there is none, or one that does not track
    ``file``."""
    try:
        if file is not None:
            _git(folder, "ls-files", "--error-unmatch", file)
        top = _git(folder, "rev-parse", "--show-toplevel")
        status = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    heads = [line.split()[2] for line in status if line.startswith("# branch.oid ")]
    commit = next((head for head in heads if head != "(initial)"), None)
    return {"top": top, "commit": commit, "dirty": any(line[:1] != "#" for line in status)}


def _git(folder: Path, *words: str) -> list[str]:
    """The lines that git prints; it writes nothing, and starts no program of the repository's."""
    quiet = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    found = subprocess.run(
        ["git", "-c", "core.fsmonitor=false", "-C", folder, *words],
        env={**quiet, "GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE_S,
        check=True,
    )
    return found.stdout.decode(errors="replace").splitlines()


def _hardware(device: torch.device) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if sys.platform == "linux" else None,
        "memory_mb": None,
        "gpu": None,
    }
    with suppress(OSError, ValueError):
        facts["memory_mb"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MB
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        facts |= {"gpu": found.name, "gpu_memory_mb": found.total_memory // _MB}
    return facts


def _processor() -> str | None:
    """The model of the processor, as far as the system says it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _peak_memory(device: torch.device) -> dict[str, int]:
    """The most memory that the process has had so far, and that its tensors took on the GPU."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    facts = {"peak_memory_mb": peak // _MB}
    if device.type == "cuda":
        facts["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated(device) // _MB
    return facts
