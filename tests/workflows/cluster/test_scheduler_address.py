"""A scheduler that is not there: found out at once, with what is wrong with the address that was given."""

import json
import socket
import threading
from pathlib import Path

import pytest

from pyrodrop.workflows.batch.batch import batch
from pyrodrop.workflows.cluster.clients import workers_of
from pyrodrop.workflows.cluster.scheduler_address import check_scheduler
from pyrodrop.workflows.settings import SettingError


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("form", ["tcp://127.0.0.1:{}", "127.0.0.1:{}"])
def test_where_nobody_listens_it_is_said(form: str) -> None:
    with pytest.raises(SettingError, match="does not answer") as refused:
        check_scheduler(form.format(unused_port()))
    assert refused.value.settings == ("scheduler",)


def test_a_file_of_a_scheduler_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": f"tcp://127.0.0.1:{unused_port()}"}))
    with pytest.raises(SettingError, match="refused"):
        check_scheduler(str(path))
    path.write_text("{}")
    with pytest.raises(SettingError, match="not a file that a scheduler has written"):
        check_scheduler(str(path))


def test_what_is_no_address_is_told_apart_from_one_that_is_silent() -> None:
    with pytest.raises(SettingError, match="neither an address nor a file"):
        check_scheduler("my-cluster")
    with pytest.raises(SettingError, match="does not answer"):
        check_scheduler("tcp://no-such-host.invalid:8786")


def test_an_address_that_somebody_listens_at_is_let_through() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        check_scheduler(f"tcp://127.0.0.1:{listener.getsockname()[1]}")


def test_a_server_of_something_else_is_told_for_what_it_is() -> None:
    """Read as Dask's, its answer is a message of 3 EiB."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1024)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(SettingError, match="what listens there is no scheduler of Dask"), workers_of(address):
            raise AssertionError("there is nobody")
        listener.shutdown(socket.SHUT_RDWR)


def test_a_batch_without_its_scheduler_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"")
    with pytest.raises(SettingError, match="does not answer"):
        batch([tmp_path / "image.png"], tmp_path / "out", scheduler=f"127.0.0.1:{unused_port()}", progress=False)
    assert not (tmp_path / "out").exists()
