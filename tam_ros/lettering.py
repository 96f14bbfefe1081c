"""Fonts for captions that OpenCV's own letters, which are ASCII, cannot write."""

import functools

from PIL import ImageFont

SIZE_PX = 14
MISSING = '\U0010fffe'  # no font has it, so it looks like whatever a font lacks
# Where one of them is installed, Pillow finds it by its name.
FONTS = (
    'DejaVuSans.ttf',
    'NotoSans-Regular.ttf',
    'NotoSansCJK-Regular.ttc',
    'wqy-microhei.ttc',
    'wqy-zenhei.ttc',
    'DroidSansFallbackFull.ttf',
    'NotoSansArabic-Regular.ttf',
    'NotoSansDevanagari-Regular.ttf',
    'NotoSansHebrew-Regular.ttf',
    'NotoSansThai-Regular.ttf',
    'FreeSans.ttf',
    'unifont.ttf',
    'unifont.otf',
)


@functools.lru_cache(maxsize=256)  # labels, of which each is drawn in many frames
def letter(text: str) -> tuple[str, ImageFont.FreeTypeFont | None]:
    """Return a text as it can be written, and the font for it; None for OpenCV's.

    The font is the one that lacks least; for what it lacks stand code points, such as U+676F.
    """
    if text.isascii():
        return text, None
    font = min(_fonts(), key=lambda font: len(_lacking(text, font)), default=None)
    lacking = _lacking(text, font) if font else {c for c in text if not c.isascii()}
    return ''.join(f'U+{ord(c):04X}' if c in lacking else c for c in text), font


def _lacking(text: str, font: ImageFont.FreeTypeFont) -> set[str]:
    return {c for c in set(text) if not c.isspace() and _lacks(font, c)}


@functools.lru_cache(maxsize=10_000)  # captions change with every score, their letters do not
def _lacks(font: ImageFont.FreeTypeFont, character: str) -> bool:
    return _shape(font, character) == _shape(font, MISSING)


def _shape(font: ImageFont.FreeTypeFont, character: str) -> tuple:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


@functools.cache
def _fonts() -> list[ImageFont.FreeTypeFont]:
    return [font for font in map(_load, FONTS) if font is not None]


def _load(name: str) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, SIZE_PX)
    except OSError:  # not installed
        return None
