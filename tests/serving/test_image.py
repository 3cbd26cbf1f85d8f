"""The image of the server: what is in it, and that its steps lead to a server that answers."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from conftest import ROOT, run_script
from dockerfile import Machine, admitted, exec_form, read_stages, variables

from nerlab.config import CONF
from nerlab.serving.app import OPEN_PATHS

STAGES = read_stages(ROOT / "Dockerfile")
LAST = STAGES[-1]
ENVIRONMENT = {k: v for text in LAST.texts("ENV") for k, v in variables(text).items()}
COMMAND = [word for name in ("ENTRYPOINT", "CMD") for word in exec_form(LAST.texts(name)[0])]
CHECK = exec_form(LAST.texts("HEALTHCHECK")[0].partition(" CMD ")[2])
KEYS = yaml.safe_load((CONF / "serve.yaml").read_text("utf-8"))
COMPOSED = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["nerlab"]


def test_the_image_does_not_run_as_root_and_begins_with_a_version() -> None:
    user, group = LAST.texts("USER")[-1].split(":")
    assert int(user) == int(group) > 0
    assert f"--uid {user} " in LAST.texts("RUN")[0]
    names = {stage.name for stage in STAGES}
    outside = {stage.base for stage in STAGES} - names
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in outside)
    assert len(outside) == 1


def test_nothing_is_fetched_that_a_lock_does_not_know() -> None:
    runs = [text for stage in STAGES for text in stage.texts("RUN")]
    installs = [part for text in runs for part in text.split("&&") if "pip" in part.split()[:1]]
    assert len(installs) == 6
    for part in installs:
        offline = {"--no-deps", "--no-index"} <= set(part.split())
        locked = {"--no-deps", "--require-hashes"} <= set(part.split())
        assert offline or locked or part.split() == ["pip", "check"], part
    locks = re.findall(r"--requirement (\S+)", " ".join(runs))
    assert locks == ["build.lock", "torch.lock", "serve.lock"]


def test_what_is_copied_is_sent_and_nothing_else() -> None:
    sources = [
        word
        for stage in STAGES
        for text in stage.texts("COPY")
        if not text.startswith("--from")
        for word in text.split()[:-1]
    ]
    sent = admitted(ROOT / ".dockerignore")
    for source in sources:
        assert any(path.parts[0] == source for path in sent), source
    assert {path.parts[0] for path in sent} == set(sources)
    names = {path.as_posix() for path in sent}
    assert {"nerlab/serving/app.py", "conf/serve.yaml", "data/demo/train.conll"} <= names
    assert "data/generate.py" not in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_server_finds_its_keys_in_the_environment() -> None:
    keys = (CONF / "serve.yaml").read_text("utf-8")
    own = {name for name in [*ENVIRONMENT, *COMPOSED["environment"]] if name.startswith("NERLAB_")}
    assert own == {"NERLAB_CHECKPOINT", "NERLAB_HOST", "NERLAB_PORT", "NERLAB_TOKEN"}
    assert all(f"oc.env:{name}" in keys for name in own)
    assert [ENVIRONMENT["NERLAB_PORT"]] == LAST.texts("EXPOSE")
    assert "NERLAB_OPEN" not in ENVIRONMENT  # a person says it


def test_compose_fits_the_image_and_drains_before_it_kills() -> None:
    (port,) = COMPOSED["ports"]
    assert port == f"127.0.0.1:{ENVIRONMENT['NERLAB_PORT']}:{ENVIRONMENT['NERLAB_PORT']}"
    (volume,) = COMPOSED["volumes"]
    assert volume["target"] == ENVIRONMENT["NERLAB_CHECKPOINT"]
    assert volume["read_only"]
    assert COMPOSED["read_only"]
    assert int(COMPOSED["stop_grace_period"].removesuffix("s")) > KEYS["drain"]


def block(language: str) -> str:
    """The one block of docs/deployment.md in a language."""
    text = (ROOT / "docs/deployment.md").read_text("utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return str(found)


def test_the_manifest_for_kubernetes_fits_the_image() -> None:
    manifest = yaml.safe_load(block("yaml"))
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    port = int(ENVIRONMENT["NERLAB_PORT"])
    assert container["ports"] == [{"containerPort": port}]
    probes = {name: probe["httpGet"] for name, probe in container.items() if "Probe" in name}
    assert {probe["path"] for probe in probes.values()} == {"/health", "/ready"} <= OPEN_PATHS
    assert {probe["port"] for probe in probes.values()} == {port}
    assert manifest["spec"]["selector"]["matchLabels"] == {"app": "nerlab"}
    before = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > before + KEYS["drain"]


def test_the_unit_and_the_proxy_wait_longer_than_the_server() -> None:
    unit = ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini"))
    assert int(unit["Service"]["TimeoutStopSec"]) > KEYS["drain"]
    words = unit["Service"]["ExecStart"].split()
    assert words[1] == "serve"
    assert {word.partition("=")[0] for word in words[2:]} <= KEYS.keys()
    (wait,) = re.findall(r"proxy_read_timeout (\d+)s;", block("nginx"))
    assert int(wait) > KEYS["timeout"]
    assert "client_max_body_size 1m;" in block("nginx")
    assert KEYS["max_body"] == 2**20


def test_the_program_for_sagemaker_is_python_and_its_keys_those_of_the_server() -> None:
    program = block("python")
    compile(program, "deployment.md", "exec")
    for name in set(re.findall(r"NERLAB_\w+", (ROOT / "docs/deployment.md").read_text("utf-8"))):
        texts = [path.read_text("utf-8") for path in (CONF / "serve.yaml", ROOT / "compose.yaml")]
        assert any(f"{{{name}" in text or f":{name}" in text for text in texts), name


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body).encode(), headers)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, json.loads(content) if content[:1] in b"{[" else content


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not kept: more than a gigabyte."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def torch_index(folder: Path) -> str:
    """An index of the CPU build of torch alone, wherever pip has found that."""
    (version,) = re.findall(r"^torch==\S+", (ROOT / "torch.lock").read_text("utf-8"), re.M)
    files = folder / "index" / "torch"
    options = ["--quiet", "--retries=0", "--no-deps", "--only-binary=:all:", f"--dest={files}"]
    index = "--extra-index-url=https://download.pytorch.org/whl/cpu"
    fetch = [sys.executable, "-m", "pip", "download", *options, index, version]
    subprocess.run(fetch, check=True, capture_output=True)
    (wheel,) = files.iterdir()
    assert "+cpu" in wheel.name, "no CPU build of torch is in reach"
    (files / "index.html").write_text(f'<a href="{quote(wheel.name)}">{wheel.name}</a>')
    return files.parent.as_uri()


@pytest.mark.long
def test_the_steps_of_the_image_lead_to_a_server_that_answers(run: Path, large: Path) -> None:
    """In an empty virtual environment and empty folders, from the files that an engine is sent."""
    context, root = large / "context", large / "root"
    root.mkdir()
    for path in admitted(ROOT / ".dockerignore"):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, context / path)
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    machine = Machine(root, context, ("opt/nerlab", "opt/ml", "build", "wheel"), python)
    arguments = {"TORCH_INDEX": torch_index(large)}
    for stage in STAGES:
        machine.take(stage, skip="useradd", arguments=arguments)

    exported = run_script(
        "nerlab/__main__", "export", f"checkpoint={run}", f"output={machine.path('/opt/ml/model')}"
    )
    assert exported.status == 0, exported.err
    port = free_port()
    environment = machine.environment | {"NERLAB_PORT": str(port), "NERLAB_TOKEN": "secret"}
    environment.pop("HOME")
    program = root / "opt/nerlab/bin"
    command = [str(program / COMMAND[0]), *COMMAND[1:]]
    empty = large / "empty"
    empty.mkdir()
    with subprocess.Popen(command, cwd=empty, env=environment, stderr=subprocess.PIPE) as server:
        check = [str(program / CHECK[0]), *CHECK[1:]]
        quiet = subprocess.DEVNULL
        try:
            end = time.monotonic() + 60
            while subprocess.run(check, env=environment, stderr=quiet).returncode:
                assert server.poll() is None, server.communicate()[1].decode()
                assert time.monotonic() < end
                time.sleep(0.2)
            assert ask(port, "GET", "/ping")[0] == 200
            status, found = ask(port, "POST", "/invocations", {"text": "Anna Smith flew to Berlin"})
            assert status == 200
            assert [entity["label"] for entity in found["entities"]] == ["PER", "LOC"]
            assert ask(port, "GET", "/model")[1]["figures"]["dev"]["f1"] > 0.5
            assert ask(port, "GET", "/")[0] == 200
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=30) == 0
        finally:
            server.kill()
    assert subprocess.run(check, env=environment, stderr=quiet).returncode
    assert os.listdir(empty) == []
