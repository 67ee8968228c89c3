"""Looking at words asks nobody on the network."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


def test_no_library_downloads_a_list_or_a_model() -> None:
    code = """
import socket
def refuse(*_args, **_named):
    raise SystemExit("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from policy_service.adapters.screening.lists import Lists
from policy_service.adapters.screening.looking import Looking
from policy_service.adapters.screening.phones import PhoneFinder
from policy_service.adapters.screening.presidio import presidio_finders
looking = Looking(Lists(), [PhoneFinder(), *presidio_finders()])
assert looking.find(["anna@example.co.uk, +49 30 901820, 4111 1111 1111 1111"], ())[0]
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
