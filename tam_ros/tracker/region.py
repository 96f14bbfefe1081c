"""Which part of the next frame is encoded: all of it, or a window that holds all objects."""

from collections.abc import Sequence

from tam_ros.tracker.track import Track
from tam_ros.tracker.window import WHOLE, Window, next_window

PATIENCE_S = 0.15  # for which a window stays though an object in it is not seen


def region_of(
    tracks: Sequence[Track], size_wh: tuple[int, int], now_ns: int, *, least_px: int
) -> Window:
    """Return the window of the next frame, at now_ns, for objects that are on time.

    size_wh: of the image in pixels. least_px: least width and height of the window. The whole
    image where there is no object, where one has been out of sight for longer than PATIENCE_S,
    and where memories cannot be made anew.
    """
    if not tracks or not all(t.origins.are_known(t.memory) for t in tracks):
        return WHOLE
    if any(now_ns - t.visible_ns > PATIENCE_S * 1e9 and not t.observation.visible for t in tracks):
        return WHOLE
    extents = [t.observation.extent for t in tracks]
    seen = [extent for extent in extents if extent is not None]
    if len(seen) < len(tracks):
        return _former(tracks)
    return next_window(_former(tracks), seen, size_wh, least_px)


def _former(tracks: Sequence[Track]) -> Window:
    """Return the window that the objects were last found in, which prompts may have widened."""
    windows = {t.origins.newest.seen.window if t.origins.newest else WHOLE for t in tracks}
    return windows.pop() if len(windows) == 1 else WHOLE
