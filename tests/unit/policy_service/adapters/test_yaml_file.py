from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, StrictBool

from policy_service.adapters.yaml_file import InvalidFile, read_yaml


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    on: str
    region: str = "eu"
    is_active: StrictBool = True


def read(folder: Path, text: str) -> Thing:
    file = folder / "thing.yaml"
    file.write_text(text, encoding="utf-8")
    return read_yaml(file, Thing)


def test_a_field_may_be_called_on_and_a_region_no(tmp_path: Path) -> None:
    thing = read(tmp_path, "on: team:search\nregion: no\nis_active: false\n")
    assert (thing.on, thing.region, thing.is_active) == ("team:search", "no", False)


def test_only_true_and_false_are_truth_values(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"thing.yaml:2: is_active: .*boolean"):
        read(tmp_path, "on: x\nis_active: no\n")


def test_faults_come_from_the_top_down(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile) as failure:
        read(tmp_path, "colour: red\nregion: 5\non: x\nshape: 1\n")
    lines = [line.split(":")[1] for line in str(failure.value).splitlines()]
    assert lines == ["1", "2", "4"]
