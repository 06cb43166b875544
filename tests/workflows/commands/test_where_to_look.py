"""A mask, rectangles and rules on the command line: what they leave, what is written, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli.asked import files
from PIL import Image, ImageDraw
from roifile import ROI_TYPE, ImagejRoi, roiwrite
from worker_here import worker_here

from pyrodrop.cli import main
from pyrodrop.images.micrograph import write_png
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.workflows.commands.where_to_look import mask_of, radius_in_px
from pyrodrop.workflows.settings import SettingError

pytestmark = pytest.mark.usefixtures("figures_left_blank")

SIZE = (140, 200)
QUICK = ("--profile", "disc", "--quiet")


@pytest.fixture(scope="module")
def lettered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Droplets, with lettering and a scale bar over them, and an info strip below."""
    image, truth = simulate(
        16, SIZE, seed=2, kind="gray", profile="disc", radius_px=(4, 9), noise=0.02, separation=1.3, shape=[1.0]
    )
    folder = tmp_path_factory.mktemp("lettered")
    write_png(image, folder / "clean.png")
    with Image.open(folder / "clean.png") as clean:
        picture = clean.convert("L")
    draw = ImageDraw.Draw(picture)
    draw.text((8, 6), "Sample 7b", fill=255, font_size=16)
    draw.rectangle((140, 96, 190, 100), fill=255)
    draw.rectangle((0, 118, 199, 139), fill=10)
    draw.text((6, 120), "HV 5 kV  mag 2000x", fill=255, font_size=14)
    picture.save(folder / "lettered.png")
    return folder / "lettered.png", truth


CUT_AWAY = (
    "--exclude",
    "4",
    "4",
    "90",
    "22",
    "--exclude",
    "138",
    "94",
    "56",
    "10",
    "--exclude",
    "0",
    "117",
    "200",
    "23",
)


def left_of(truth: pd.DataFrame) -> pd.DataFrame:
    """The droplets that have their centres in what is left."""
    x, y = truth["x_px"].round(), truth["y_px"].round()
    letters = x.between(4, 93) & y.between(4, 25)
    bar = x.between(138, 193) & y.between(94, 103)
    return truth[~letters & ~bar & (y < 117) & (x >= 0) & (y >= 0) & (x < 200)]


def test_lettering_a_scale_bar_and_an_info_strip_are_cut_away(
    lettered: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, truth = lettered
    assert main(["measure", str(path), *CUT_AWAY, *QUICK, "--pixel-size", "0.5", "--out", str(tmp_path / "out")]) == 0
    assert "looked_at: share" in capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    table = pd.read_csv(tmp_path / "out" / "droplets.csv", keep_default_na=False)
    expected = left_of(truth)
    assert summary["n_droplets"] == len(table) == len(expected)
    apart = np.hypot(*(table[name].to_numpy()[:, None] - expected[name].to_numpy() for name in ("x_px", "y_px")))
    assert (apart.min(1) < 1.5).all()
    said = summary["looked_at"]
    area = 140 * 200 - 90 * 22 - 56 * 10 - 200 * 23
    assert said["area_px"] == area
    assert said["area_um2"] == pytest.approx(area / 4)
    assert said["share"] == pytest.approx(area / 140 / 200, abs=1e-6)
    assert said["exclude"] == [[4, 4, 90, 22], [138, 94, 56, 10], [0, 117, 200, 23]]
    assert summary["reduced_chi_square"] < 1.3
    # What was looked at is a file that --mask takes, and gives the same droplets.
    with Image.open(tmp_path / "out" / "looked_at.png") as picture:
        assert np.asarray(picture).sum() == area
    shown = tmp_path / "out" / "looked_at.png"
    assert (
        main(
            [
                "measure",
                str(path),
                "--mask",
                str(shown),
                *QUICK,
                "--pixel-size",
                "0.5",
                "--out",
                str(tmp_path / "again"),
            ]
        )
        == 0
    )
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "again" / "droplets.csv", keep_default_na=False), table)
    # The page tells of it.
    assert main(["report", str(tmp_path / "out"), "--quiet"]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "of the image was looked at; the rest was taken for missing" in page
    assert "Parts under a gray veil were not looked at." in page


def test_rules_are_written_into_the_result(lettered: tuple[Path, pd.DataFrame], tmp_path: Path) -> None:
    clean = lettered[0].with_name("clean.png")
    asked = ["--radius", "3um", "inf", "--pixel-size", "0.5", "--polarity", "bright", "--border", "drop"]
    assert main(["measure", str(clean), *asked, *QUICK, "--out", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["rules"] == {"radius_px": [6.0, None], "polarity": "bright", "border": "drop"}
    assert "looked_at" not in summary
    table = pd.read_csv(tmp_path / "out" / "droplets.csv", keep_default_na=False)
    truth = lettered[1]
    inside = np.minimum(np.minimum(truth["x_px"], 199 - truth["x_px"]), np.minimum(truth["y_px"], 139 - truth["y_px"]))
    assert len(table) == ((truth["radius_px"] > 6) & (inside > truth["radius_px"])).sum()
    assert (table["radius_px"] > 6).all()
    assert main(["measure", str(clean), "--polarity", "dark", *QUICK, "--out", str(tmp_path / "dark")]) == 0
    assert json.loads((tmp_path / "dark" / "summary.json").read_text())["n_droplets"] == 0


@pytest.mark.slow
def test_a_batch_looks_where_it_is_told_and_anew_where_the_mask_has_changed(
    lettered: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def batch(asked: list[str]) -> int:
        with worker_here():
            return main(asked)

    path, truth = lettered
    roiwrite(tmp_path / "left.roi", ImagejRoi(roitype=ROI_TYPE.RECT, left=0, top=0, right=100, bottom=117))
    asked = ["batch", str(path), "--mask", str(tmp_path / "left.roi"), "--exclude", "4", "4", "90", "22"]
    asked += [*QUICK, "--json", "--out", str(tmp_path / "out")]
    assert batch(asked) == 0
    assert json.loads(capsys.readouterr().out)["done_before"] == 0
    expected = left_of(truth)
    droplets = pd.read_csv(tmp_path / "out" / "droplets.csv")
    assert len(droplets) == (expected["x_px"] < 99.5).sum()
    assert batch(asked) == 0
    assert json.loads(capsys.readouterr().out)["done_before"] == 1
    (tmp_path / "left.roi").unlink()
    roiwrite(tmp_path / "left.roi", ImagejRoi(roitype=ROI_TYPE.RECT, left=0, top=0, right=60, bottom=117))
    assert batch(asked) == 0
    assert json.loads(capsys.readouterr().out)["done_before"] == 0
    assert batch([*asked[:-1], str(tmp_path / "other"), "--exclude", "500", "0", "9", "9"]) == 1
    failures = json.loads(capsys.readouterr().out)["failures"]
    assert "exclude 500 0 9 9 lies outside of the image" in str(failures)


def test_a_mask_that_fits_some_of_several_images_fails_for_the_others(
    lettered: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (30, 20), 90).save(tmp_path / "small.png")
    Image.new("L", (200, 140), 255).save(tmp_path / "mask.png")
    images = [str(tmp_path / "small.png"), str(lettered[0])]
    asked = ["--mask", str(tmp_path / "mask.png"), "--region", "0", "0", "60", "60", *QUICK, "--json"]
    assert main(["measure", *images, *asked, "--out", str(tmp_path / "out")]) == 1
    said = json.loads(capsys.readouterr().out)
    assert list(said["images"]) == ["lettered"]
    assert "expected those of the image, 30 x 20" in said["failed"][images[0]]
    assert main(["measure", *images, "--mask", "none.png", "--quiet", "--out", str(tmp_path / "none")]) == 2


def test_regions_add_up_within_the_mask_and_what_is_excluded_is_not_looked_at(tmp_path: Path) -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[:, 10:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    look = {
        "mask": str(tmp_path / "mask.png"),
        "region": [[0, 0, 20, 10], [30, 20, 100, 100]],
        "exclude": [[12, 2, 3, 4]],
    }
    expected = np.zeros((30, 40), bool)
    expected[:10, 10:20] = expected[20:, 30:] = True
    expected[2:6, 12:15] = False
    made = mask_of(look, (30, 40))  # type: ignore[arg-type]
    assert made is not None
    assert (made == expected).all()
    assert mask_of({}, (30, 40)) is None
    # All of it is in px of the file, of which half is measured.
    half = mask_of({"mask": str(tmp_path / "mask.png"), "exclude": [[12, 2, 4, 4]]}, (15, 20), 0.5)
    assert half is not None
    assert half.sum() == 15 * 15 - 2 * 2
    assert half[0, 5]
    assert not half[0, 4]
    assert not half[1:3, 6:8].any()


def test_a_radius_is_in_px_or_in_micrometres() -> None:
    assert radius_in_px(("2", "7.5"), None) == (2.0, 7.5)
    assert radius_in_px(("2um", "10µm"), 0.5) == (4.0, 20.0)
    assert radius_in_px((0, "inf"), 0.5) == (0.0, float("inf"))
    assert radius_in_px(("3px", "inf"), 0.5) == (3.0, float("inf"))
    assert radius_in_px(None, None) is None
    with pytest.raises(SettingError, match="size of a pixel is not known"):
        radius_in_px(("2um", "inf"), None)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--mask", "{folder}/none.png"], "--mask {folder}/none.png is no file"),
        (["--mask", "{folder}/small.png"], "has 7 x 5 px, expected those of the image, 200 x 140"),
        (["--mask", "{folder}/black.png"], "--mask: 0 of 28000 pixels are left"),
        (["--mask", "{folder}/text.png"], "is not an image"),
        (["--mask", "{folder}/text.zip"], "cannot be read as regions"),
        (["--mask", ""], "--mask is ''"),
        (
            ["--region", "300", "0", "10", "10"],
            "--region 300 0 10 10 lies outside of the image, which has 200 x 140 px",
        ),
        (["--region", "-20", "0", "10", "10"], "--region -20 0 10 10 lies outside"),
        (["--region", "0", "0", "10", "0"], "--region is 0 0 10 0, whose width or height is no pixel"),
        (["--region", "0", "0", "10"], "--region"),
        (["--region", "0", "0", "4", "4"], "--region: 16 of 28000 pixels are left"),
        (["--exclude", "0", "0", "200", "140"], "--exclude: 0 of 28000 pixels are left"),
        (["--exclude", "0", "0", "a", "140"], "'a'"),
        (["--radius", "5", "3"], "--radius is 5 3, expected the least and the greatest"),
        (["--radius", "-1", "3"], "--radius is -1 3"),
        (["--radius", "nan", "3"], "--radius is nan 3"),
        (["--radius", "2um", "3um"], "--radius is 2um, but the size of a pixel is not known; give --pixel-size"),
        (["--radius", "2nm", "3"], "expected a number, got '2nm'"),
        (["--polarity", "light"], "light"),
        (["--border", "cut"], "cut"),
        (["--tiles", "--exclude", "0", "0", "9", "9"], "--exclude: not in tiles yet"),
        (["--tiles", "--polarity", "dark"], "--polarity: not in tiles yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    flags: list[str], told: str, lettered: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (7, 5), 255).save(tmp_path / "small.png")
    Image.new("L", (200, 140), 0).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("x, y")
    (tmp_path / "text.zip").write_text("x, y")
    given = [flag.format(folder=tmp_path) for flag in flags]
    try:
        status = main(["measure", str(lettered[0]), *given, "--quiet", "--out", str(tmp_path / "out")])
    except SystemExit as left:
        status = left.code  # type: ignore[assignment]
    shown = capsys.readouterr()
    assert (status, shown.out, files(tmp_path / "out")) == (2, "", set())
    assert shown.err.count("\n") == 1
    assert told.format(folder=tmp_path) in shown.err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--mask", "none.png"], "none.png"),
        (["--region", "0", "0", "0", "9"], "--region is 0 0 0 9"),
        (["--radius", "5", "3"], "--radius is 5 3"),
        (["--job", "fit", "--region", "0", "0", "9", "9"], "--region is a setting of --job measure"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_batch_refuses_what_no_image_could_be_measured_with(
    flags: list[str], told: str, lettered: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", str(lettered[0]), *flags, "--quiet", "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert told in shown.err
