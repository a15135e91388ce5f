"""Draws the widget's pictures in the sizes that amoCRM asks for (`make widget-images`)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZES = {
    "logo_main": (400, 272),
    "logo_small": (108, 108),
    "logo": (130, 100),
    "logo_medium": (240, 84),
    "logo_min": (84, 84),
}
BLUE, WHITE = (31, 95, 214), (255, 255, 255)
FINE = 4
"""The pictures are drawn so many times larger and then made smaller, which smooths their edges."""
WORD = "Evrotel"
Point = tuple[float, float]


def draw(folder: Path) -> None:
    """Writes all pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in SIZES.items():
        picture(size).save(folder / f"{name}.png", optimize=True)


def picture(size: tuple[int, int]) -> Image.Image:
    """One picture: handset and word side by side where there is width for it, else one above the other."""
    width, height = size[0] * FINE, size[1] * FINE
    image = Image.new("RGB", (width, height), BLUE)
    if width > 2 * height:
        _handset(image, (height * 0.55, height * 0.5), height * 0.56)
        _word(image, (height * 0.4 + width * 0.5, height * 0.5), width - height * 1.25)
    else:
        _handset(image, (width * 0.5, height * 0.37), height * 0.46)
        _word(image, (width * 0.5, height * 0.8), min(width * 0.86, height * 0.92))
    return image.resize(size, Image.Resampling.LANCZOS)


def _handset(image: Image.Image, middle: Point, side: float) -> None:
    """A receiver, lying slantwise in a square around `middle`."""
    canvas = Image.new("L", (1000, 1000), 0)
    pen = ImageDraw.Draw(canvas)
    # Level at first: a thick bow over two pads.
    pen.arc((120, 300, 880, 1060), 205, 335, fill=255, width=150)
    for x in (190, 810):
        pen.rounded_rectangle((x - 115, 470, x + 115, 720), 55, fill=255)
    turned = canvas.rotate(135, Image.Resampling.BICUBIC)
    mark = turned.crop(turned.getbbox()).resize((round(side), round(side)), Image.Resampling.LANCZOS)
    image.paste(WHITE, (round(middle[0] - side / 2), round(middle[1] - side / 2)), mark)


def _word(image: Image.Image, middle: Point, width: float) -> None:
    """The word, as wide as `width`, in the typeface that Pillow brings along: the same on every machine."""
    size = 100 * width / ImageFont.load_default(100).getlength(WORD)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text(middle, WORD, WHITE, font, anchor="mm", stroke_width=size * 0.018)


if __name__ == "__main__":
    draw(Path(__file__).parent / "images")
