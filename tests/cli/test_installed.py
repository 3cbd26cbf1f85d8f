"""nerlab as a wheel: everything that it needs is in it, and it works in any folder."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from configparser import ConfigParser
from pathlib import Path
from pkgutil import resolve_name
from sysconfig import get_path

import pytest
from conftest import ROOT, SMALL_MODEL, Result, run_script
from own_package import write_package

from nerlab.config import CONF
from nerlab.data.load import SHIPPED

SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
BESIDE = dict(line.split(" = ") for line in SETUP["options"]["package_dir"].strip().split("\n"))


def test_every_folder_with_code_is_a_package_that_is_installed() -> None:
    listed = SETUP["options"]["packages"].split()
    with_code = {path.parent.relative_to(ROOT) for path in (ROOT / "nerlab").rglob("*.py")}
    assert listed == sorted({".".join(path.parts) for path in with_code} | BESIDE.keys())


def test_what_is_shipped_is_installed_where_it_is_looked_for() -> None:
    assert {"nerlab.conf": "conf"} | {
        f"nerlab.{folder.replace('/', '.')}": folder for folder in SHIPPED
    } == BESIDE
    assert ROOT / "conf" == CONF
    assert (ROOT / "nerlab" / "py.typed").is_file()


def test_each_console_script_is_the_function_of_a_script() -> None:
    lines = SETUP["options.entry_points"]["console_scripts"].strip().split("\n")
    targets = dict(line.split(" = ") for line in lines)
    assert targets.keys() == {"nerlab", "nerlab-train", "nerlab-evaluate", "nerlab-predict"}
    for target in targets.values():
        assert callable(resolve_name(target))


@pytest.mark.parametrize("folder", SHIPPED)
def test_a_shipped_corpus_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    check = ("nerlab/__main__", "check", f"data={Path(folder).name}", "format=json")
    assert run_script(*check, "data.test=null").status == 0
    (tmp_path / folder).mkdir(parents=True)  # one's own comes first
    result = run_script(*check)
    assert result.status == 1
    assert f"{folder}/train.conll: no such file" in result.out


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment in which the wheel is installed.

    It has the libraries of this one, but for nerlab: nothing is fetched.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source, environment = folder / "source", folder / "environment"
    unwanted = shutil.ignore_patterns(".*", "build", "*.egg-info", "runs", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", f"--wheel-dir={folder}", str(source)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"nerlab/conf/data/reader/columns.yaml", "nerlab/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} == {"nerlab", "nerlab-0.1.0.dist-info"}
    venv.create(environment)
    programs = environment / "bin"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = subprocess.check_output([programs / "python", "-c", code], text=True).strip()
    # A .pth of that folder, which leads to this repository, is not read.
    Path(place, "libraries.pth").write_text(get_path("purelib") + "\n")
    subprocess.run(
        [*pip, f"--python={programs / 'python'}", "install", *offline, wheel], check=True
    )
    return programs


def call(programs: Path, folder: Path, name: str, *arguments: str) -> Result:
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    command = [str(programs / name), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.long
def test_an_installed_nerlab_trains_scores_and_tags_in_any_folder(
    installed: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(corpus, tmp_path / "mine")
    where = call(installed, tmp_path, "python", "-c", "import nerlab; print(nerlab.__file__)")
    assert Path(where.out).is_relative_to(installed.parent)
    trained = call(installed, tmp_path, "nerlab-train", *SMALL_MODEL, "data.dir=mine")
    assert (trained.status, trained.err) == (0, "")
    scored = call(installed, tmp_path, "nerlab-evaluate", "checkpoint=runs/latest")
    assert (scored.status, scored.err) == (0, "")
    text = "text=Anna Smith flew to Berlin ."
    tagged = call(installed, tmp_path, "nerlab-predict", "checkpoint=runs/latest", text)
    assert (tagged.status, tagged.err) == (0, "")
    assert '"label": "PER"' in tagged.out
    exported = call(installed, tmp_path, "nerlab", "export", "checkpoint=runs/latest", "output=t")
    assert (exported.status, exported.err) == (0, "")
    refused = call(installed, tmp_path, "nerlab-train", "trainer.epoch=1")
    assert refused.err == "error: trainer.epoch: no such key; the nearest is trainer.epochs\n"


@pytest.mark.long
def test_an_installed_nerlab_has_its_demonstration_corpora(installed: Path, tmp_path: Path) -> None:
    result = call(installed, tmp_path, "nerlab", "stats", "data=demo_az")
    assert (result.status, result.err) == (0, "")
    keys = ("trainer.epochs=1", "tracker=none", "model.encoder.hidden_dim=16")
    result = call(installed, tmp_path, "nerlab-train", *keys)
    assert (result.status, result.err) == (0, "")


@pytest.mark.long
def test_an_installed_nerlab_trusts_a_package_in_the_current_folder(
    installed: Path, corpus: Path, tmp_path: Path
) -> None:
    write_package(tmp_path)
    small = [key for key in SMALL_MODEL if not key.startswith(("model.encoder", "tracker"))]
    keys = ["--config-dir=conf", *small, "model/encoder=gru", "tracker=lines", "trainer.epochs=1"]
    keys += [f"data.dir={corpus}", "run.dir=run"]
    refused = call(installed, tmp_path, "nerlab-train", *keys)
    assert refused.status == 1
    assert "trust=mylab admits it" in refused.err
    trained = call(installed, tmp_path, "nerlab-train", *keys, "trust=mylab")
    assert (trained.status, trained.err) == (0, "")
    scored = call(installed, tmp_path, "nerlab-evaluate", "checkpoint=run", "trust=mylab")
    assert (scored.status, scored.err) == (0, "")
