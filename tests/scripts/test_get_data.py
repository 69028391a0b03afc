"""The command ``get_data.py``: exit codes, the one line of an error, and what is left behind."""

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scenes.download import SOURCES, PublishedFile, Source

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "get_data.py"
CONTENT = {"a.bin": b"first", "b.bin": b"second" * 100}
SENT_BEFORE_SILENCE = 300_000


def load_script():
    spec = importlib.util.spec_from_file_location("get_data", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


get_data = load_script()


@pytest.fixture
def tiny(monkeypatch):
    """A set of two small files in the table of known sets."""
    files = tuple(PublishedFile(n, f"md5:{hashlib.md5(d).hexdigest()}", len(d)) for n, d in CONTENT.items())
    monkeypatch.setitem(SOURCES, "tiny", Source("tiny", "http://127.0.0.1:9/", files))


@pytest.fixture
def server():
    """The address of a server that has the two files under /good/, other ones under /wrong/, and under
    /silent a large file of which it sends only the beginning."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            folder, name = os.path.split(self.path)
            if self.path == "/silent":
                self.send_response(200)
                self.send_header("Content-Length", "170498071")
                self.end_headers()
                self.wfile.write(bytes(SENT_BEFORE_SILENCE))
                over.wait(60)
            elif folder in ("/good", "/wrong") and name in CONTENT:
                body = CONTENT[name] if folder == "/good" else CONTENT[name][::-1]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            else:
                self.send_error(404)

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    over.set()
    http.shutdown()
    thread.join()
    http.server_close()


def run(capsys, *argv) -> tuple[int, str, str]:
    code = get_data.main([str(arg) for arg in argv])
    return code, *capsys.readouterr()


def assert_refused(result: tuple[int, str, str], *texts: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    for text in texts:
        assert text in err


def test_a_set_is_fetched_into_a_folder_of_its_name(tiny, server, tmp_path, capsys):
    code, out, err = run(capsys, "tiny", "--url", f"{server}/good", "--to", tmp_path / "data")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "tiny: 2 of 2 files there, each with the right checksum",
        f"wrote {tmp_path / 'data' / 'tiny'}",
    ]
    assert {p.name: p.read_bytes() for p in (tmp_path / "data" / "tiny").iterdir()} == CONTENT


def test_a_second_call_says_that_the_set_is_there(tiny, server, tmp_path, capsys):
    run(capsys, "tiny", "--url", f"{server}/good", "--to", tmp_path)
    code, out, err = run(capsys, "tiny", "--to", tmp_path)  # its own address serves nothing
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"complete already, left as it is: {tmp_path / 'tiny'}"


@pytest.mark.parametrize("packed", [True, False])
def test_a_local_copy_needs_no_network(tiny, tmp_path, capsys, packed):
    archive = tmp_path / "copy"
    if packed:
        with zipfile.ZipFile(archive, "w") as file:
            for name, data in CONTENT.items():
                file.writestr(f"deep/{name}", data)
    else:
        archive.mkdir()
        for name, data in CONTENT.items():
            (archive / name).write_bytes(data)
    code, _, err = run(capsys, "tiny", "--archive", archive, "--to", tmp_path / "data")
    assert (code, err) == (0, "")
    assert {p.name: p.read_bytes() for p in (tmp_path / "data" / "tiny").iterdir()} == CONTENT


def test_wrong_bytes_are_refused(tiny, server, tmp_path, capsys):
    assert_refused(run(capsys, "tiny", "--url", f"{server}/wrong", "--to", tmp_path), "published is md5:")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_address_is_refused(server, tmp_path, capsys):
    result = run(capsys, "cifar10", "--url", f"{server}/nowhere", "--to", tmp_path)
    assert_refused(result, f"{server}/nowhere", "404", "--url", "--archive")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_the_scenes_is_refused_with_the_count(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as file:
        file.writestr("15-Scene/00/1.jpg", b"no image")
    result = run(capsys, "scene15", "--archive", tmp_path / "scenes.zip", "--to", tmp_path / "data")
    assert_refused(result, "0 of the 3000 files of scene15 found, 3000 are needed", "nothing was written")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_hostile_archive_is_refused(tiny, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name, data in {**CONTENT, "../../evil": b"evil"}.items():
            file.writestr(name, data)
    to = tmp_path / "deep" / "data"
    assert_refused(run(capsys, "tiny", "--archive", tmp_path / "x.zip", "--to", to), "'../../evil'", "unsafe")
    assert not list(tmp_path.rglob("evil")) and list(to.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "required: name"),
        (["cifar100"], "'scene15'"),
        (["mnist", "--archive", "no/such/file.zip"], "no such file or folder"),
        (["mnist", "--url", "http://x/", "--archive", "y.zip"], "not allowed with"),
        (["cifar10", "--url", "data.tar.gz"], "--archive"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, argv, text):
    assert_refused(run(capsys, *argv, "--to", tmp_path / "data"), text)
    assert not (tmp_path / "data").exists() or list((tmp_path / "data").iterdir()) == []


def test_help_names_the_sets_and_the_default_folder(capsys):
    with pytest.raises(SystemExit) as stop:
        get_data.main(["--help"])
    out = "".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    assert "{cifar10,fashion_mnist,mnist,scene15}" in out
    assert f"(default:{SCRIPT.parents[1] / 'data'})" in out


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupt_leaves_only_the_unfinished_download(server, tmp_path):
    command = [sys.executable, str(SCRIPT), "cifar10", "--url", f"{server}/silent", "--to", str(tmp_path)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background lets its children ignore the signal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part = tmp_path / "cifar10-cifar-10-python.tar.gz.part"
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 0):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == [part]
    assert 0 < part.stat().st_size <= SENT_BEFORE_SILENCE


def test_without_the_package_it_says_what_to_run():
    # -S leaves the installed packages out, -I the environment's and the current folder
    done = subprocess.run([sys.executable, "-I", "-S", str(SCRIPT)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert f"run `make install` in {SCRIPT.parents[1]}" in done.stderr
