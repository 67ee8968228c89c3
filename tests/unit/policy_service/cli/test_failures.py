import pytest
import typer

from policy_service.cli.failures import fail, needs


@pytest.mark.parametrize("sentence", ["it is broken", "at [/srv/x]: [bold]", "C:\\[x]"])
def test_a_failure_is_the_sentence_as_it_is_and_an_exit_code(
    sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(sentence).exit_code == 1
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_missing_package_is_told_with_what_to_install(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit), needs("service"):
        import no_such_package_anywhere  # noqa: F401, PLC0415
    told = capsys.readouterr().err
    assert "no_such_package_anywhere is not installed" in told
    assert "gatehouse-llm[service]" in told
