"""Which frames go on with a stream: each is taken, left out, or begins anew.

Cameras send frames late, with a stamp of zero or of another clock, and links damage headers. One
such frame says nothing of those to come, so it is left out; several in a row that agree with each
other are the stream from then on. Knows nothing of images, objects or networks.
"""

import enum
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

AGREEING = 3  # left out frames in a row that agree with each other are believed
RESTLESS = 20  # frames for which broken rows and resets make others doubtful
MOST_LEFT_OUT = 20  # in a row, whatever they are; then the next is believed
BACK_S, LONGEST_LOOP_S = 1.0, 86400.0  # a jump back between them is believed at once
AHEAD_S = 10.0  # how far time may jump ahead of the clock of arrival
OFTEN = 4  # as often within RESTLESS frames, these are no mishaps
STANDING = 10  # frames in a row under one stamp
HELD_S = 1.0  # frames at least this far apart are one that is held, and no stream
SECOND = 1_000_000_000


class Step(enum.Enum):
    """What is done with a frame."""

    GO_ON = enum.auto()
    LEAVE_OUT = enum.auto()
    REWIND = enum.auto()  # go on from before the last frame, whose stamp was ahead of time
    RESET = enum.auto()


@dataclass(frozen=True)
class Arrival:
    """A frame that arrived."""

    stamp_ns: int
    """That came with its image; of a damaged header, it may be any."""
    size_wh: tuple[int, int]
    """Of the image in pixels."""
    frame_id: str
    """Of the camera that it comes from."""
    arrival_ns: int
    """When it came, by a steady clock."""


@dataclass(frozen=True)
class Remark:
    """What an operator should know."""

    kind: str
    """What there is one more of, whatever its values."""
    text: str
    """One line, with the values that are odd."""


@dataclass(frozen=True)
class Decision:
    """What is done with a frame, and why where it does not simply go on."""

    step: Step
    """REWIND forgets the frames before it, RESET all objects as well."""
    time_ns: int = 0
    """What it counts as: its stamp, unless stamps stand still."""
    is_standing: bool = False
    """Whether stamps stand still, so that its own does not tell it from the frames before it."""
    why: Remark | None = None
    """None of a frame that simply goes on."""
    remark: Remark | None = None
    """What else is odd about the stream, said once."""


@dataclass(frozen=True)
class _Oddity:
    """What is odd about a frame."""

    kind: str
    """As in `Remark`."""
    text: str
    """As in `Remark`, too."""
    meaning: Step
    """What is done once several frames agree."""

    @property
    def why(self) -> Remark:
        """What is said of it."""
        return Remark(self.kind, self.text)


class Continuity:
    """Judges the frames of a stream in the order of their arrival; state of a few numbers."""

    def __init__(self) -> None:
        self._newest: Arrival | None = None  # of those taken
        self._time_ns = 0  # that the newest one counts as
        self._before_ns: int | None = None  # stamp of the one taken before the newest
        self._stamp_arrived_ns = 0  # when the first one with the newest stamp did
        self._last_gap_ns = 0
        self._count = 0
        self._row: list[Arrival] = []  # left out ones in a row that agree; first and last
        self._row_length = 0
        self._left_out = 0  # in a row
        self._breaks: deque[int] = deque(maxlen=OFTEN)  # when such rows came to nothing
        self._resets: deque[int] = deque(maxlen=OFTEN)
        self._same = 0  # taken in a row under one stamp
        self._is_standing = False
        self._said: set[str] = set()

    def judge(self, frame: Arrival) -> Decision:
        """Say what is done with the next frame, and take it into account."""
        self._count += 1
        newest = self._newest
        odd = None if newest is None else self._oddity(frame, newest)
        if newest is None or odd is None:
            return self._go_on(frame)
        self._extend_row(frame, newest)
        if not self._is_believed(frame, newest, odd):
            return Decision(Step.LEAVE_OUT, why=odd.why)
        return self._believe(frame, newest, odd)

    # -- what is odd ------------------------------------------------------------------------

    def _oddity(self, frame: Arrival, newest: Arrival) -> _Oddity | None:
        if frame.size_wh != newest.size_wh:
            old, new = ('x'.join(map(str, each.size_wh)) for each in (newest, frame))
            return _Oddity(
                'odd image sizes', f'image size changed from {old} to {new}', Step.RESET
            )
        if frame.frame_id != newest.frame_id:
            text = f'frame_id changed from {newest.frame_id!r} to {frame.frame_id!r}'
            is_back = frame.stamp_ns < newest.stamp_ns
            return _Oddity('odd frame_ids', text, Step.RESET if is_back else Step.GO_ON)
        return self._odd_time(frame, newest)

    def _odd_time(self, frame: Arrival, newest: Arrival) -> _Oddity | None:
        jump_ns = frame.stamp_ns - newest.stamp_ns
        if jump_ns < 0:
            kind = 'zero stamps' if frame.stamp_ns == 0 else 'late frames'
            text = f'time jumped back by {-jump_ns / SECOND:.3f} s'
            meaning = Step.REWIND if self._goes_on_before(frame) else Step.RESET
            return _Oddity(kind, text, meaning)
        # Stamps may be far apart, but then so are arrivals, or they usually are.
        elapsed_ns = max(0, frame.arrival_ns - self._stamp_arrived_ns)
        if jump_ns > max(AHEAD_S * SECOND, 3 * self._last_gap_ns) + elapsed_ns:
            text = f'time jumped ahead by {jump_ns / SECOND:.3f} s'
            return _Oddity('frames from the future', text, Step.GO_ON)
        return None

    def _goes_on_before(self, frame: Arrival) -> bool:
        """Return whether it fits behind the frame before the newest, which then is the odd one."""
        return self._before_ns is not None and frame.stamp_ns > self._before_ns

    # -- whether it is believed -------------------------------------------------------------

    def _extend_row(self, frame: Arrival, newest: Arrival) -> None:
        self._left_out += 1
        if self._row and self._agrees(frame, newest):
            self._row = [self._row[0], frame]
            self._row_length += 1
        else:
            self._row, self._row_length = [frame], 1

    def _agrees(self, frame: Arrival, newest: Arrival) -> bool:
        first, last = self._row[0], self._row[-1]
        if (frame.size_wh, frame.frame_id) != (last.size_wh, last.frame_id):
            return False
        usual_ns = max(AHEAD_S * SECOND, first.stamp_ns - newest.stamp_ns)
        gap_ns = frame.stamp_ns - last.stamp_ns
        return 0 <= gap_ns <= usual_ns + max(0, frame.arrival_ns - last.arrival_ns)

    def _is_believed(self, frame: Arrival, newest: Arrival, odd: _Oddity) -> bool:
        breaks, resets = self._recent(self._breaks), self._recent(self._resets)
        is_calm = breaks + resets < 2  # two cameras in turn agree with themselves as well
        if self._left_out >= MOST_LEFT_OUT or (self._row_length >= AGREEING and is_calm):
            return True
        back_s = (newest.stamp_ns - frame.stamp_ns) / SECOND
        is_loop = odd.kind == 'late frames' and BACK_S < back_s <= LONGEST_LOOP_S
        return is_loop and odd.meaning is Step.RESET and not breaks + resets

    def _recent(self, counts: Iterable[int]) -> int:
        return sum(self._count - at <= RESTLESS for at in counts)

    # -- what becomes of it -----------------------------------------------------------------

    def _go_on(self, frame: Arrival) -> Decision:
        remark = None
        if self._left_out:
            self._breaks.append(self._count)
            remark = self._doubt_the_topic()
            self._end_row()
        return self._take(frame, Step.GO_ON, remark=remark)

    def _believe(self, frame: Arrival, newest: Arrival, odd: _Oddity) -> Decision:
        """Take a frame with which the stream is another from now on."""
        if odd.meaning is Step.RESET:
            self._resets.append(self._count)
        if odd.meaning is not Step.GO_ON:
            self._newest = self._before_ns = None
        elif self._row_length > 1:  # the last gap is one within the row
            gap_ns = (frame.stamp_ns - self._row[0].stamp_ns) // (self._row_length - 1)
            self._newest = replace(newest, stamp_ns=frame.stamp_ns - gap_ns)
        self._end_row()
        return self._take(frame, odd.meaning, why=odd.why)

    def _end_row(self) -> None:
        self._row, self._row_length, self._left_out = [], 0, 0

    def _take(
        self,
        frame: Arrival,
        step: Step,
        *,
        why: Remark | None = None,
        remark: Remark | None = None,
    ) -> Decision:
        newest, self._newest = self._newest, frame
        if newest is None:
            self._same, self._is_standing, self._last_gap_ns = 0, False, 0
            self._time_ns, self._stamp_arrived_ns = frame.stamp_ns, frame.arrival_ns
            return Decision(step, frame.stamp_ns, why=why, remark=remark)
        self._before_ns = newest.stamp_ns
        self._last_gap_ns = frame.stamp_ns - newest.stamp_ns
        elapsed_ns = max(0, frame.arrival_ns - newest.arrival_ns)
        standing = self._watch_for_standing(frame, elapsed_ns)
        if self._is_standing:
            self._time_ns += elapsed_ns
        if frame.stamp_ns >= self._time_ns:
            self._time_ns = frame.stamp_ns
        return Decision(step, self._time_ns, self._is_standing, why, standing or remark)

    def _watch_for_standing(self, frame: Arrival, elapsed_ns: int) -> Remark | None:
        """Go by the clock of arrival while stamps do not change; return what is to be said."""
        if self._last_gap_ns:
            self._same, self._stamp_arrived_ns = 0, frame.arrival_ns
            self._is_standing &= frame.stamp_ns < self._time_ns
            return None
        if frame.stamp_ns and elapsed_ns >= HELD_S * SECOND:
            return None
        self._same += 1
        if self._same < STANDING - 1 or self._is_standing:
            return None
        self._is_standing = True
        text = (
            f'{STANDING} images in a row have the stamp {frame.stamp_ns / SECOND:.3f}: time goes '
            'by when they arrive'
        )
        return self._once('standing stamps', text)

    def _doubt_the_topic(self) -> Remark | None:
        if self._recent(self._breaks) < OFTEN:
            return None
        text = (
            f'{OFTEN} times within {RESTLESS} images some did not fit the others in size, '
            'frame_id or stamp, and were left out: do two cameras publish on one topic?'
        )
        return self._once('two cameras', text)

    def _once(self, kind: str, text: str) -> Remark | None:
        if kind in self._said:
            return None
        self._said.add(kind)
        return Remark(kind, text)
