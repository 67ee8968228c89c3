from dashboard.__main__ import APP, command_line


def test_streamlit_is_started_quietly():
    command = command_line("0.0.0.0", 8501)  # noqa: S104 - nothing is started
    assert str(APP) in command
    for flag, value in (
        ("--browser.gatherUsageStats", "false"),
        ("--server.headless", "true"),
        ("--server.port", "8501"),
        ("--browser.serverAddress", "localhost"),
    ):
        assert command[command.index(flag) + 1] == value
