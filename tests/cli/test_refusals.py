"""Bad input: one line on standard error, exit status 2, and nothing written or lost."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from cli.asked import files
from PIL import Image

from pyrodrop.cli import main
from pyrodrop.cli.options import CHANNELS, STARTS


def refused(argv: list[str], capsys: pytest.CaptureFixture[str], out: Path) -> str:
    """Exit status 2, one line on standard error, nothing on standard output, no file in the folder; the line."""
    before = files(out)
    try:
        status = main([*argv, "--out", str(out)])
    except SystemExit as left:
        status = left.code
    shown = capsys.readouterr()
    assert status == 2
    assert shown.out == ""
    assert shown.err.endswith("\n")
    assert shown.err.count("\n") == 1, shown.err
    assert shown.err.startswith(f"pyrodrop {argv[0]}: ")
    assert files(out) == before
    return shown.err


def test_the_choices_are_those_of_the_rooms_behind() -> None:
    from pyrodrop.images import CHANNELS as KNOWN
    from pyrodrop.workflows.fit_settings import STARTS as KNOWN_STARTS

    assert sorted(CHANNELS) == sorted(KNOWN)
    assert sorted(STARTS) == sorted(KNOWN_STARTS)


def unreadable(name: str, folder: Path, image: str) -> str:
    """An image file that is wrong in the named way; returns its path."""
    path = folder / "bad.png"
    if name == "not an image":
        path.write_text("x_px,y_px\n1,2\n")
    elif name == "cut":
        path.write_bytes(Path(image).read_bytes()[:600])
    elif name == "empty":
        path.touch()
    elif name == "one pixel":
        Image.new("RGB", (1, 1)).save(path)
    elif name == "a folder":
        path.mkdir()
    elif name in ("nan", "inf"):
        path = folder / "bad.tif"
        pixels = np.full((5, 6), 0.5, np.float32)
        pixels[2, 3] = float(name)
        Image.fromarray(pixels).save(path)
    return str(path)


@pytest.mark.parametrize("command", ["fit", "channels"])
@pytest.mark.parametrize("name", ["not there", "not an image", "cut", "empty", "one pixel", "a folder", "nan", "inf"])
def test_an_image_that_cannot_be_read(
    command: str, name: str, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = unreadable(name, tmp_path, image)
    line = refused([command, path], capsys, tmp_path / "out")
    assert Path(path).name in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--channel", "purple"], "purple"),
        (["--droplets", "0"], "--droplets is 0"),
        (["--droplets", "-4"], "--droplets is -4"),
        (["--droplets", "many"], "many"),
        (["--steps", "0"], "--steps is 0"),
        (["--steps", "-1"], "--steps is -1"),
        (["--steps", "1.5"], "1.5"),
        (["--scale", "0"], "scale is 0"),
        (["--scale", "-2"], "scale is -2"),
        (["--scale", "nan"], "scale is nan"),
        (["--scale", "0.01"], "0.01"),
        (["--error-scale", "0"], "--error-scale is 0"),
        (["--error-scale", "-0.1"], "--error-scale is -0.1"),
        (["--learning-rate", "inf"], "--learning-rate is inf"),
        (["--start", "middle"], "middle"),
        (["--restarts", "0"], "--restarts is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--device", "tpu"], "--device is 'tpu'"),
        (["--resume", "none.pt"], "none.pt"),
    ],
    ids=" ".join,
)
def test_a_wrong_setting_of_fit(
    given: list[str], named: str, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refused(["fit", image, *given], capsys, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["prior", "shapes"], "shapes"),
        (["prior", "centres", "--droplets", "0"], "--droplets is 0"),
        (["prior", "centres", "--size", "0", "20"], "--size is 0 x 20"),
        (["prior", "centres", "--size", "20", "-3"], "--size is 20 x -3"),
        (["prior", "centres", "--samples", "0"], "--samples is 0"),
        (["prior", "centres", "--warmup", "-1"], "--warmup is -1"),
        (["prior", "centres", "--seed", "-1"], "--seed is -1"),
        (["prior", "centres", "--device", "tpu"], "--device is 'tpu'"),
        (["simulate", "--droplets", "-1"], "--droplets is -1"),
        (["simulate", "--size", "1", "20"], "--size is (20, 1)"),
        (["simulate", "--seed", "-1"], "--seed is -1"),
        (["simulate", "--seed", str(2**70)], "--seed is 1180591620717411303424"),
        (["simulate", "--droplets", "500", "--size", "20", "20"], "of 500 droplets"),
        (["fit", "--scale", "0.5"], "--scale: about a file"),
        (["measure", "--pixel-size", "0.5"], "--pixel-size: about a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_setting_of_the_others(
    argv: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refused(argv, capsys, tmp_path / "out")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["fit", image, "--device", "cuda"], ["prior", "centres", "--device", "cuda:1"]):
        assert "no CUDA device here" in refused(argv, capsys, tmp_path / "out")


def test_a_gray_image_has_no_hue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gray.png"
    Image.new("L", (8, 6), 100).save(path)
    assert "gray" in refused(["fit", str(path)], capsys, tmp_path / "out")


@pytest.mark.parametrize("what", ["damaged", "cut", "another model", "another image", "another channel", "an image"])
def test_a_checkpoint_that_does_not_fit(
    what: str, image: str, fit_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, channel = tmp_path / "kept.pt", "saturation"
    whole = (fit_folder / "fit.pt").read_bytes()
    path.write_bytes(whole)
    if what == "damaged":
        path.write_bytes(whole[:500] + b"\0" * 64 + whole[564:])
    elif what == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif what == "another model":
        torch.save({"kind": "something", "params": torch.zeros(2)}, path)
    elif what == "another image":
        torch.save(torch.load(path, weights_only=True) | {"channel": torch.zeros(30, 40)}, path)
    elif what == "another channel":
        channel = "red"
    else:
        path = Path(image)
    argv = ["fit", image, "--channel", channel, "--resume", str(path), "--steps", "3", "--device", "cpu"]
    assert path.name in refused(argv, capsys, tmp_path / "out")


@pytest.mark.parametrize("setting", [("--droplets", "3"), ("--learning-rate", "0.1"), ("--seed", "3")], ids=" ".join)
def test_a_resumed_fit_keeps_its_settings(
    setting: tuple[str, str], image: str, fit_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fit", image, "--channel", "saturation", "--resume", str(fit_folder / "fit.pt"), *setting]
    assert "keeps the settings" in refused(argv, capsys, tmp_path / "out")


def test_results_that_were_there_survive_a_refusal(
    image: str, fit_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in fit_folder.iterdir()}
    refused(["fit", image, "--droplets", "0"], capsys, fit_folder)
    assert {path.name: path.read_bytes() for path in fit_folder.iterdir()} == before


@pytest.mark.parametrize("command", ["fit", "channels"])
def test_an_output_folder_that_is_a_file(
    command: str, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert main([command, image, "--out", str(out)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err == f"pyrodrop {command}: --out {out} is not a folder; name another\n"
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_cannot_be_written_to(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written to" in refused(["channels", image], capsys, tmp_path / "locked")


@pytest.mark.parametrize(
    "argv", [[], ["paint"], ["fit", "a.png", "b.png"], ["fit", "--nonsense"], ["channels"]], ids=" ".join
)
def test_wrong_usage_is_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    shown = capsys.readouterr()
    assert left.value.code == 2
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith(" ".join(["pyrodrop", *(argv[:1] if argv != ["paint"] else [])]) + ": ")
    assert "--help" in shown.err


def test_no_command_is_answered_with_what_to_begin_with(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "run pyrodrop measure" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["fit", "--channel=--"],
        ["fit", "--steps=--"],
        ["fit", "--start=--"],
        ["measure", "--tiles=--"],
        ["prior", "centres", "--size=--"],
        ["channels", "a.png", "--scale=--"],
        ["simulate", "--droplets=--", "--size", "24", "20"],
        ["report", "a", "--json=--"],
        ["batch", "a.png", "--workers=--"],
    ],
    ids=" ".join,
)
def test_two_dashes_are_no_value_of_an_option(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [] if argv[0] == "report" else ["--out", str(tmp_path)]
    with pytest.raises(SystemExit) as left:
        main([*argv, *more])
    option = next(word for word in argv if word.endswith("=--")).removesuffix("=--")
    shown = capsys.readouterr()
    assert (left.value.code, shown.out, files(tmp_path)) == (2, "", set())
    assert shown.err == (
        f"pyrodrop {argv[0]}: argument {option}: expected a value, got '--'; see pyrodrop {argv[0]} --help\n"
    )


def test_behind_two_dashes_a_name_may_look_like_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channels", f"--out={tmp_path}", "--", "--scale=--"]) == 2
    assert "--scale=-- does not exist" in capsys.readouterr().err


def test_a_folder_of_images_is_answered_with_the_command_that_takes_it(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(Path(image).parent)
    for command in ("measure", "fit"):
        assert f"pyrodrop batch {folder}" in refused([command, folder], capsys, tmp_path / "out")


def test_a_camera_of_12_bits_and_a_stack_are_answered_with_the_flags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = np.random.default_rng(0).integers(0, 4_000, (30, 40)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "camera.tif", levels)
    line = refused(["fit", str(tmp_path / "camera.tif"), "--channel", "gray"], capsys, tmp_path / "out")
    assert "--white-level 4095" in line
    assert "white=" not in line
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((5, 30, 40), np.uint8), photometric="minisblack")
    line = refused(["measure", str(tmp_path / "stack.tif")], capsys, tmp_path / "out")
    assert "--frame" in line
    assert "frame=" not in line
