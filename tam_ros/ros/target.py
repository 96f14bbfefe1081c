"""The one object that the target topics are about."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rclpy.node import Node

from tam_ros.msg import TrackedObject
from tam_ros.srv import SetTarget


@dataclass(frozen=True)
class _Choice:
    """What a user has asked for."""

    object_id: int = 0
    """Of a tracked object; 0 for none, or where label or automatic says which."""
    label: str = ''
    """The newest object of this label; '' where id or automatic says which."""
    automatic: bool = False
    """The only object, else the one prompted last."""

    def of(self, objects: Iterable[TrackedObject]) -> int:
        """Return the id of the object among all, 0 where it is not there."""
        return max((o.id for o in objects if self._is(o)), default=0)

    def _is(self, tracked: TrackedObject) -> bool:
        if self.automatic:
            return tracked.state != TrackedObject.TENTATIVE  # proposed, not prompted
        return tracked.label == self.label if self.label else tracked.id == self.object_id


class Target:
    """Which object is the target, by the service `tam/set_target`.

    objects: returns those of the newest frame, None where nobody listens to them.
    """

    def __init__(self, node: Node, objects: Callable[[], Iterable[TrackedObject] | None]):
        self._objects = objects
        self._lock = threading.Lock()
        self._choice = _Choice(automatic=True)
        node.create_service(SetTarget, 'tam/set_target', self._set)

    def of(self, objects: Iterable[TrackedObject]) -> int:
        """Return the id of the target among objects; 0 where it is not one of them."""
        with self._lock:
            return self._choice.of(objects)

    def _set(self, request: SetTarget.Request, response: SetTarget.Response):
        choice = _Choice(request.object_id, request.label, request.automatic)
        objects = self._objects()
        wrong = _wrong(choice, objects)
        if not wrong:
            with self._lock:
                self._choice = choice
        response.success = not wrong
        response.object_id = 0 if wrong else choice.of(objects or ())
        response.message = wrong or _told(choice, response.object_id)
        return response


def _wrong(choice: _Choice, objects: Iterable[TrackedObject] | None) -> str:
    """Return why a choice cannot be followed; '' where it can."""
    given = [bool(choice.object_id), bool(choice.label), choice.automatic]
    if sum(given) > 1:
        return 'give one of object_id, label and automatic'
    if not choice.object_id or objects is None or choice.of(objects):
        return ''
    known = ', '.join(str(o.id) for o in objects)
    return (
        f'object {choice.object_id} is not tracked: use one of {known}'
        if known
        else (f'object {choice.object_id} is not tracked: nothing is')
    )


def _told(choice: _Choice, object_id: int) -> str:
    if object_id:
        return f'object {object_id} is the target'
    if choice.label:
        return f'the newest object with label {choice.label!r} will be the target'
    if choice.automatic:
        return 'the object that is prompted last will be the target'
    return f'object {choice.object_id} will be the target' if choice.object_id else 'no target'
