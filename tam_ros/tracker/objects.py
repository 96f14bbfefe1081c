"""The objects that are tracked: the one owner of their ids, their rows and their room."""

from collections.abc import Iterator, Mapping

from tam_ros.prompts import PromptError
from tam_ros.tracker.memory import MemoryLimits, MemoryPolicy, ObjectMemory
from tam_ros.tracker.track import PromptAnswer, Track

LARGEST_ID = 65535  # ids are pixels of a 16-bit label image


class TrackedObjects(Mapping[int, Track]):
    """All objects by id, in order of their ids.

    Late ones were prompted on an earlier frame and have not caught up with the newest yet; all
    others are on time, which means looked for in every frame. Each has a row of the store of
    memories to itself.
    """

    def __init__(self, max_objects: int, limits: MemoryLimits, policy: MemoryPolicy):
        """limits, policy: of what each object remembers; the policy may bound them as well."""
        if not 1 <= max_objects <= LARGEST_ID:
            raise ValueError(f'max_objects {max_objects}: use 1 to {LARGEST_ID}')
        self.capacity = min(max_objects, policy.max_objects or max_objects)
        self._limits = limits
        self._policy = policy
        self._tracks: dict[int, Track] = {}
        self._late: set[int] = set()
        self._last_id = 0

    def __getitem__(self, object_id: int) -> Track:
        return self._tracks[object_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._tracks)

    def __len__(self) -> int:
        return len(self._tracks)

    def find(self, object_id: int) -> Track:
        """Return an object; raises PromptError, with the ids there are, for an unknown id."""
        if object_id not in self._tracks:
            known = ', '.join(map(str, self._tracks)) or 'none'
            raise PromptError(f'object id {object_id} is unknown: tracked are {known}')
        return self._tracks[object_id]

    # -- their life -------------------------------------------------------------------------

    def check_room(self) -> None:
        """Raise PromptError, saying what would make room, where no more objects can be added."""
        if len(self) < self.capacity:
            return
        if self.capacity == self._policy.max_objects:
            raise PromptError(
                f'memory policy {self._policy.name} tracks at most {self.capacity} objects: '
                'remove one, or take another policy'
            )
        raise PromptError(
            f'{self.capacity} objects are tracked already: remove one or raise max_objects'
        )

    def new_track(self, answer: PromptAnswer, *, label: str, tentative: bool) -> Track:
        """Return a new object with an id and a row of its own, yet to be added; needs room."""
        memory = self.new_memory()
        return Track(self._next_id(), label, self._free_row(), memory, answer, tentative)

    def new_memory(self) -> ObjectMemory:
        """Return the memory of an object that has not been seen yet."""
        return self._policy.make_memory(self._limits)

    def add(self, track: Track, *, is_late: bool) -> None:
        """Track a new object from now on, or say of one that is tracked whether it is late."""
        is_newest = track.object_id > next(reversed(self._tracks), 0)
        self._tracks[track.object_id] = track
        if not is_newest:
            self._tracks = dict(sorted(self._tracks.items()))
        if is_late:
            self._late.add(track.object_id)
        else:
            self._late.discard(track.object_id)

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError for an unknown id."""
        self.find(object_id)
        del self._tracks[object_id]
        self._late.discard(object_id)

    def clear(self) -> None:
        """Forget all objects. Their ids are not used again."""
        self._tracks.clear()
        self._late.clear()

    # -- how far they have come ---------------------------------------------------------------

    @property
    def on_time(self) -> list[Track]:
        """Objects that are seen in, or missed from, every frame."""
        return [track for i, track in self._tracks.items() if i not in self._late]

    @property
    def late(self) -> list[Track]:
        """Objects on their way to the newest frame."""
        return [self._tracks[i] for i in sorted(self._late)]

    def arrive(self, object_id: int) -> None:
        """Note that an object has caught up, and is on time from now on."""
        self._late.discard(object_id)

    def is_late(self, object_id: int) -> bool:
        """Return whether an object has not caught up yet."""
        return object_id in self._late

    def have_reached(self, frame_index: int) -> bool:
        """Return whether all of them have been looked for in a frame, or started after it."""
        return all(self._tracks[i].frame_index >= frame_index for i in self._late)

    def _free_row(self) -> int:
        used = {track.row for track in self._tracks.values()}
        return next(row for row in range(self.capacity) if row not in used)

    def _next_id(self) -> int:
        """Return an id that no object has; once all were used, the smallest free one."""
        if self._last_id < LARGEST_ID:
            self._last_id += 1
            return self._last_id
        return next(i for i in range(1, LARGEST_ID + 1) if i not in self._tracks)
