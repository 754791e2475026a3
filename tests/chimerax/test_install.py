"""`enhance install` and `enhance info`."""

import http.server
import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from threading import Thread
from unittest import mock
from urllib.parse import unquote

from chimerax.core.commands import run
from chimerax.map_enhance.runtime import engine_python, install_plan
from chimerax.map_enhance.runtime import install as engine_install
from chimerax.map_enhance.runtime.background import BackgroundTask
from support import PYTHON, leftovers, open_map, use_fake_engine, use_python, user_error

NAMES = ("torch", "numpy", "scipy", "safetensors", "gemmi")


def test_adopted_python_is_remembered(session):
    use_python(session, "")
    run(session, f"enhance install python {PYTHON}")
    assert engine_python.settings(session).python == PYTHON
    assert engine_python.find_python(session).origin == "chosen"


def test_python_without_torch_is_refused(session):
    bare = engine_python.own_python()
    if engine_python.find_spec("torch"):
        return
    with user_error("torch", bare.path):
        run(session, f'enhance install python "{bare.path}"')
    assert engine_python.settings(session).python == PYTHON


def test_not_a_python(session):
    with tempfile.NamedTemporaryFile() as file, user_error("can't run enhance"):
        run(session, f"enhance install python {file.name}")


def test_info(session):
    found = run(session, "enhance info")
    assert found["path"] == PYTHON and "cpu" in found["devices"] and found["torch"]


def test_info_without_torch_tells_the_weights(session):
    use_python(session, "/nowhere/bin/python")
    found = run(session, "enhance info")
    assert set(found) == {"weights"} and found["weights"]["superem"]


def plan(system, machine="x86_64", driver=None, **options):
    with (
        mock.patch.object(sys, "platform", system),
        mock.patch("platform.machine", return_value=machine),
        mock.patch.object(install_plan, "cuda_of_driver", return_value=driver),
    ):
        return install_plan.plan_install(**options)


def test_build_for_each_platform(session):
    index = install_plan.TORCH_INDEX
    assert (plan("linux").build, plan("linux").index) == ("cpu", index + "cpu")
    assert plan("linux", driver=(13, 2)).index == index + "cu130"
    assert plan("linux", driver=(12, 8)).index == index + "cu128"
    assert plan("win32", driver=(12, 4)).index == index + "cu126"
    assert (plan("win32").build, plan("win32").index) == ("cpu", "")
    assert (plan("darwin", "arm64").build, plan("darwin", "arm64").index) == ("mps", "")
    assert (plan("darwin", "x86_64").build, plan("darwin", "x86_64").index) == ("cpu", "")
    assert plan("linux", driver=(13, 0), build="cpu").index == index + "cpu"
    with user_error("no mps build"):
        plan("linux", build="mps")


def test_disk_without_room(session):
    with (
        mock.patch("shutil.disk_usage", return_value=mock.Mock(free=1e6)),
        mock.patch.object(engine_install, "existing_install", return_value=None),
        user_error("GB free"),
    ):
        run(session, "enhance install")


def make_wheels(folder, more_torch=()):
    """Tiny packages under the names the engine needs, so that the installation itself can be run offline."""
    for name, version in [*((name, "99.0") for name in NAMES), *(("torch", one) for one in more_torch)]:
        source = (
            ""
            if name != "torch"
            else (
                f"__version__ = '{version}'\n"
                "class cuda:\n    is_available = staticmethod(lambda: False)\n"
                "class backends: pass\n"
            )
        )
        stem = f"{name}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", source)
            wheel.writestr(
                f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            wheel.writestr(
                f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{stem}.dist-info/RECORD", "")


def offline(folder):
    """Pip looks in `folder` and nowhere else, and the private environment lies there."""
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}
    return (
        mock.patch.dict(os.environ, variables),
        mock.patch.object(engine_python, "private_folder", return_value=folder / "private"),
    )


def test_install_and_repair(session):
    use_python(session, "/nowhere/python")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_wheels(folder)
        variables, place = offline(folder)
        with variables, place:
            task = run(session, "enhance install")
            assert task.found["torch"] == "99.0"
            python = engine_python.find_python(session)
            assert python.origin == "private" and python.path.startswith(name)
            mark = json.loads((folder / "private" / "map_enhance.json").read_text())
            assert mark["build"] == task.plan.build
            assert run(session, "enhance install") is None  # nothing to do

            Path(python.path).unlink()
            os.symlink("/nowhere/python3", python.path)  # as after ChimeraX was removed
            open_map(session)
            with user_error("no longer works", "enhance install"):
                run(session, "enhance #1")
            run(session, "enhance install")
            done = subprocess.run(
                [python.path, "-c", "import torch; print(torch.__version__)"], capture_output=True
            )
            assert done.stdout.strip() == b"99.0"


def test_uninstall(session):
    use_python(session, "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_wheels(folder)
        variables, place = offline(folder / "new")
        with variables, place:
            with user_error("there is no private environment"):
                run(session, "enhance uninstall")
            with mock.patch.dict(os.environ, PIP_FIND_LINKS=name):
                run(session, "enhance install")
            running = BackgroundTask(session, "enhance #1 a.mrc")
            with user_error("enhance #1 a.mrc", "isn't over"):
                run(session, "enhance uninstall")
            running.done = True
            run(session, "enhance uninstall")
            assert not (folder / "new").exists()
            use_fake_engine()
            open_map(session)
            with user_error('type "enhance install"'):
                run(session, "enhance #1")


def test_install_without_network(session):
    use_python(session, "")
    with tempfile.TemporaryDirectory() as name, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        variables = {"PIP_INDEX_URL": index, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
        variables |= {"PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull}
        place = mock.patch.object(engine_python, "private_folder", return_value=Path(name, "new", "private"))
        with mock.patch.dict(os.environ, variables), place, user_error(f"{index} can't be reached"):
            run(session, f"enhance install indexUrl {index}")
        assert not any(Path(name).iterdir())


def test_falls_back_to_the_index_of_pip(session):
    """PyTorch's own index can't be reached, that of pip can: the Log says what comes from there."""
    told = fallen_back(session)
    assert "CUDA build" in told if sys.platform == "linux" else "GB on disk" in told


def test_falls_back_to_the_build_it_would_take_otherwise(session):
    """Where the index has a build for processors under its name, it is not that for CUDA."""
    assert "CPU build" in fallen_back(session, "98.0+cpu", "1.0+cpu", expected="98.0+cpu")


def fallen_back(session, *more_torch, expected="99.0"):
    """What the Log says of the index of pip, which has torch of these versions besides."""
    from test_window import logged

    use_python(session, "")
    with tempfile.TemporaryDirectory() as name, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        own = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        folder = Path(name)
        make_wheels(folder, more_torch)
        with socketserver.TCPServer(("127.0.0.1", 0), simple_index(folder)) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            variables = {"PIP_INDEX_URL": f"http://127.0.0.1:{server.server_address[1]}/", "PIP_RETRIES": "0"}
            variables |= {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
            place = mock.patch.object(engine_python, "private_folder", return_value=folder / "private")
            index = mock.patch.object(install_plan, "TORCH_INDEX", own)
            log = logged(session)
            with mock.patch.dict(os.environ, variables), place, index:
                task = run(session, "enhance install build cpu")
            session.logger.remove_log(log)
            server.shutdown()
        assert task.found["torch"] == expected
        (told,) = [text for _, text in log.lines if "pip is set up with" in text]
        assert own in told
        return told


def simple_index(folder):
    """A package index of the wheels in a folder."""

    class Index(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            name = unquote(self.path).strip("/").split("/")[-1]
            file = folder / name
            if file.is_file():
                body = file.read_bytes()
            else:
                wheels = [wheel.name for wheel in folder.glob(f"{name}-*.whl")]
                body = "".join(f'<a href="/{wheel}">{wheel}</a>' for wheel in wheels).encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    return Index


def test_failed_install_leaves_nothing(session):
    use_python(session, "")
    with tempfile.TemporaryDirectory() as name:
        variables, place = offline(Path(name, "new"))
        with variables, place:
            with user_error("enhance install failed", "torch"):
                run(session, "enhance install")
            assert not any(Path(name).iterdir())
            use_fake_engine()
            open_map(session)
            with user_error('type "enhance install"'):
                run(session, "enhance #1")
    assert leftovers() == []
